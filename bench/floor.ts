/**
 * The least that a gateway in this language can do: Node's HTTP server, the body read and parsed, one undici dispatch, the answer's
 * bytes handed on. Nothing authenticated, metered or recorded. `node floor.mjs <upstream port>`; prints its port as one line of JSON.
 */
import http from "node:http";
import type { AddressInfo } from "node:net";
import { Pool } from "undici";

const upstream = new Pool(`http://127.0.0.1:${process.argv[2]}`);

const server = http.createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const body = Buffer.concat(pieces);
    JSON.parse(body.toString("utf8"));
    upstream.dispatch(
      {
        path: request.url!,
        method: "POST",
        headers: {
          "content-type": "application/json",
          authorization: request.headers.authorization ?? "",
          ...(request.headers["x-bench"] !== undefined && { "x-bench": request.headers["x-bench"] }),
        },
        body,
      },
      {
        onRequestStart() {},
        onResponseStart(_controller, status, headers) {
          response.writeHead(status, {
            "content-type": String(headers["content-type"]),
            ...(headers["content-length"] !== undefined && { "content-length": String(headers["content-length"]) }),
          });
        },
        onResponseData(controller, chunk) {
          if (response.write(chunk)) return;
          controller.pause();
          response.once("drain", () => controller.resume());
        },
        onResponseEnd() {
          response.end();
        },
        onResponseError() {
          response.destroy();
        },
      },
    );
  });
});
server.listen(0, "127.0.0.1", () => {
  // Listening on TCP, so the address is an object.
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
