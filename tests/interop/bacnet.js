// BACnet/IP by @bacnet-js/client. Argument: the UDP port to use.
"use strict";
const { inbox, serve } = require("./peer.js");
const { default: Client } = require("@bacnet-js/client");

const client = new Client({ port: Number(process.argv[2]), interface: "127.0.0.1", apduTimeout: 3000 });
const devices = inbox();
const notices = inbox();
client.on("iAm", (message) => devices.put({ from: message.header.sender.address, ...message.payload }));
const notified = (confirmed) => (message) => {
  const { monitoredObjectId, subscriberProcessId, initiatingDeviceId, values } = message.payload;
  notices.put({
    confirmed,
    process: subscriberProcessId,
    device: initiatingDeviceId.instance ?? initiatingDeviceId,
    object: [monitoredObjectId.type, monitoredObjectId.instance],
    values: Object.fromEntries(values.map((entry) => [entry.property.id, entry.value.map((part) => part.value)])),
  });
  if (confirmed) client.simpleAckResponse(message.header.sender, message.service, message.invokeId);
};
client.on("covNotify", notified(true));
client.on("covNotifyUnconfirmed", notified(false));

const to = (address) => ({ address });
const id = ([type, instance]) => ({ type, instance });
const plain = (values) => values.map(({ type, value }) => ({ type, value }));

serve({
  whoIs: async ({ at, low, high }) => {
    client.whoIs(to(at), { lowLimit: low, highLimit: high });
    return devices.take(1, () => true, 2);
  },
  read: async ({ at, object, property, index }) =>
    plain((await client.readProperty(to(at), id(object), property, { arrayIndex: index })).values),
  readMultiple: async ({ at, objects, property }) => {
    const wanted = objects.map((object) => ({ objectId: id(object), properties: [{ id: property }] }));
    const { values } = await client.readPropertyMultiple(to(at), wanted);
    return values.map(({ objectId, values: [{ value }] }) => ({ object: [objectId.type, objectId.instance], values: plain(value) }));
  },
  write: async ({ at, object, property, type, value, priority }) =>
    client.writeProperty(to(at), id(object), property, [{ type, value }], { priority }),
  subscribe: async ({ at, object, process, confirmed, cancel }) =>
    client.subscribeCov(to(at), id(object), process, cancel, confirmed, 60),
  notices: async ({ count, process, seconds }) => notices.take(count, (notice) => notice.process === process, seconds),
});
