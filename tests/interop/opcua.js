// OPC UA by node-opcua-client. Argument: a folder for its own certificate.
"use strict";
const { inbox, serve } = require("./peer.js");
const { OPCUACertificateManager } = require("node-opcua-certificate-manager");
const ua = require("node-opcua-client");

let client, session;
const changes = inbox();
const status = (code) => code.name.split(" ")[0];

serve({
  connect: async ({ url, policy = "None", mode = "None", user, password }) => {
    const clientCertificateManager = new OPCUACertificateManager({
      rootFolder: process.argv[2],
      automaticallyAcceptUnknownCertificate: true,
    });
    await clientCertificateManager.initialize();
    client = ua.OPCUAClient.create({
      applicationName: "interop",
      clientCertificateManager,
      connectionStrategy: { maxRetry: 0 },
      endpointMustExist: false,
      securityMode: ua.MessageSecurityMode[mode],
      securityPolicy: ua.SecurityPolicy[policy],
    });
    await client.connect(url);
    session = await client.createSession(user ? { type: ua.UserTokenType.UserName, userName: user, password } : undefined);
  },
  endpoints: async () =>
    (await client.getEndpoints()).map((one) => ({
      mode: ua.MessageSecurityMode[one.securityMode],
      policy: one.securityPolicyUri.split("#")[1],
      tokens: one.userIdentityTokens.map((token) => ua.UserTokenType[token.tokenType]),
    })),
  namespace: async ({ uri }) => (await session.readNamespaceArray()).indexOf(uri),
  browse: async ({ node }) =>
    ((await session.browse(node)).references ?? []).map((to) => ({
      node: to.nodeId.toString(),
      name: to.browseName.name,
      kind: ua.NodeClass[to.nodeClass],
    })),
  read: async ({ nodes }) =>
    (await session.read(nodes.map((nodeId) => ({ nodeId, attributeId: ua.AttributeIds.Value })))).map((got) => ({
      status: status(got.statusCode),
      type: ua.DataType[got.value.dataType],
      value: got.value.value,
      time: got.sourceTimestamp,
    })),
  write: async ({ node, type, value }) =>
    status(
      await session.write({
        nodeId: node,
        attributeId: ua.AttributeIds.Value,
        value: { value: { dataType: ua.DataType[type], value } },
      }),
    ),
  monitor: async ({ node }) => {
    const subscription = await session.createSubscription2({
      requestedPublishingInterval: 50,
      requestedLifetimeCount: 1000,
      requestedMaxKeepAliveCount: 20,
      publishingEnabled: true,
    });
    const item = await subscription.monitor(
      { nodeId: node, attributeId: ua.AttributeIds.Value },
      { samplingInterval: 0, queueSize: 100, discardOldest: true },
      ua.TimestampsToReturn.Both,
    );
    item.on("changed", (got) => changes.put(got.value.value));
  },
  changes: async ({ count }) => changes.take(count),
  close: async () => {
    await session?.close();
    await client.disconnect();
  },
});
