// Node's http with SSE and the ws package: GET /<topic> watches, as WebSocket if asked; POST /<topic> publishes.
const http = require("node:http");
const { WebSocketServer } = require("ws");

const watchers = new Map();
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

function join(topic, send, connection) {
  if (!watchers.has(topic)) watchers.set(topic, new Set());
  watchers.get(topic).add(send);
  connection.on("close", () => watchers.get(topic).delete(send));
}

const server = http.createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-cache" });
    response.write(": welcome\n\n");
    join(request.url, (data) => response.write(`data: ${data}\n\n`), request);
    return;
  }
  let body = "";
  request.on("data", (part) => (body += part));
  request.on("end", () => {
    for (const send of watchers.get(request.url) ?? []) send(body);
    response.writeHead(204).end();
  });
});

server.on("upgrade", (request, socket, head) => {
  sockets.handleUpgrade(request, socket, head, (ws) => join(request.url, (data) => ws.send(data), ws));
});
server.listen(Number(process.argv[2]), "127.0.0.1");
