"""The part of the OPC UA standard address space that a small device shows: folders, base types, the server object.

The library builds all six thousand standard nodes from generated code, which takes seconds and tens of megabytes; no
client of a simulated device needs more than these. Ids and names are those of OPC 10000-6, annex A.
"""

from __future__ import annotations

import importlib
from typing import Any

ua: Any = importlib.import_module("asyncua.ua")

_NODES = """
58 BaseObjectType objecttype
61 FolderType objecttype 58 45
84 Root object - - 61
85 Objects object 84 35 61
86 Types object 84 35 61
87 Views object 84 35 61
88 ObjectTypes object 86 35 61
89 VariableTypes object 86 35 61
90 DataTypes object 86 35 61
91 ReferenceTypes object 86 35 61
31 References referencetype 91 35
32 NonHierarchicalReferences referencetype 31 45
33 HierarchicalReferences referencetype 31 45
34 HasChild referencetype 33 45
35 Organizes referencetype 33 45
36 HasEventSource referencetype 33 45
40 HasTypeDefinition referencetype 32 45
44 Aggregates referencetype 34 45
45 HasSubtype referencetype 34 45
46 HasProperty referencetype 44 45
47 HasComponent referencetype 44 45
62 BaseVariableType variabletype 89 35
63 BaseDataVariableType variabletype 62 45
68 PropertyType variabletype 62 45
2004 ServerType objecttype 58 45
24 BaseDataType datatype
1 Boolean datatype 24 45
26 Number datatype 24 45
27 Integer datatype 26 45
2 SByte datatype 27 45
4 Int16 datatype 27 45
6 Int32 datatype 27 45
8 Int64 datatype 27 45
28 UInteger datatype 26 45
3 Byte datatype 28 45
5 UInt16 datatype 28 45
7 UInt32 datatype 28 45
9 UInt64 datatype 28 45
10 Float datatype 26 45
11 Double datatype 26 45
12 String datatype 24 45
13 DateTime datatype 24 45
22 Structure datatype 24 45
294 UtcTime datatype 13 45
338 BuildInfo datatype 22 45
29 Enumeration datatype 24 45
852 ServerState datatype 29 45
862 ServerStatusDataType datatype 22 45
2253 Server object 85 35 2004
2254 ServerArray variable 2253 46 68 12
2255 NamespaceArray variable 2253 46 68 12
2267 ServiceLevel variable 2253 46 68 3
2256 ServerStatus variable 2253 47 63 862
2257 StartTime variable 2256 47 63 294
2258 CurrentTime variable 2256 47 63 294
2259 State variable 2256 47 63 852
2260 BuildInfo variable 2256 47 63 338
2261 ProductName variable 2260 47 63 12
2262 ProductUri variable 2260 47 63 12
2263 ManufacturerName variable 2260 47 63 12
2264 SoftwareVersion variable 2260 47 63 12
2265 BuildNumber variable 2260 47 63 12
2266 BuildDate variable 2260 47 63 294
2268 ServerCapabilities object 2253 47 58
11704 OperationLimits object 2268 47 61
11705 MaxNodesPerRead variable 11704 46 68 7
11707 MaxNodesPerWrite variable 11704 46 68 7
11709 MaxNodesPerMethodCall variable 11704 46 68 7
11710 MaxNodesPerBrowse variable 11704 46 68 7
11711 MaxNodesPerRegisterNodes variable 11704 46 68 7
11712 MaxNodesPerTranslateBrowsePathsToNodeIds variable 11704 46 68 7
11714 MaxMonitoredItemsPerCall variable 11704 46 68 7
"""
"""id, name, class, then parent, reference from it, type definition and data type where there are any."""

_ATTRIBUTES = {
    "object": ua.ObjectAttributes,
    "variable": ua.VariableAttributes,
    "objecttype": ua.ObjectTypeAttributes,
    "variabletype": ua.VariableTypeAttributes,
    "referencetype": ua.ReferenceTypeAttributes,
    "datatype": ua.DataTypeAttributes,
}
_CLASSES = {
    kind: getattr(ua.NodeClass, attributes.__name__.removesuffix("Attributes"))
    for kind, attributes in _ATTRIBUTES.items()
}


def fill(service: Any) -> None:
    """Add the nodes to a library's node management service. Raises RuntimeError when one is not taken."""
    rejected = list(service.try_add_nodes([_item(line.split()) for line in _NODES.strip().splitlines()], check=False))
    if rejected:
        raise RuntimeError(f"standard nodes not taken: {[node.BrowseName.Name for node in rejected]}")


def _item(words: list[str]) -> Any:
    number, name, kind, *rest = words
    parent, reference, definition, datatype = (rest + ["-"] * 4)[:4]
    attributes = _ATTRIBUTES[kind](DisplayName=ua.LocalizedText(name))
    if datatype != "-":
        attributes.DataType = ua.NodeId(int(datatype))
        attributes.AccessLevel = attributes.UserAccessLevel = ua.AccessLevel.CurrentRead.mask
    return ua.AddNodesItem(
        RequestedNewNodeId=ua.NodeId(int(number)),
        BrowseName=ua.QualifiedName(name),
        NodeClass=_CLASSES[kind],
        ParentNodeId=_node(parent),
        ReferenceTypeId=_node(reference),
        TypeDefinition=_node(definition),
        NodeAttributes=attributes,
    )


def _node(number: str) -> Any:
    return ua.NodeId() if number == "-" else ua.NodeId(int(number))
