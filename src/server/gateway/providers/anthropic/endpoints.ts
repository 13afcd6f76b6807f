import type { Endpoint } from "../provider";

/** One segment that is an id. */
const ID = "[^/]+";

type Rule = { methods: readonly string[] | "any"; path: RegExp; endpoint: Endpoint };

const free = (methods: Rule["methods"], path: string, name: string, body: Endpoint["body"] = "none"): Rule => ({
  methods,
  path: new RegExp(`^/v1/${path}$`),
  endpoint: { class: "free", name, body },
});

const MESSAGES: Endpoint = { class: "priced", name: "messages", body: "json" };
const BATCHES: Endpoint = { class: "deferred", name: "messages/batches", body: "none" };
const OTHER: Endpoint = { class: "other", name: "other", body: "none" };

/** CONTRACT §1. */
const FREE: readonly Rule[] = [
  free(["POST"], "messages/count_tokens", "messages/count_tokens", "json"),
  free(["GET", "HEAD"], "models", "models"),
  free(["GET", "HEAD"], `models/${ID}`, "models/{id}"),
  free("any", "files", "files"),
  free("any", `files/${ID}`, "files/{id}"),
  free("any", `files/${ID}/content`, "files/{id}/content"),
  free(["GET", "HEAD"], "messages/batches", "messages/batches"),
  free(["GET", "HEAD", "DELETE"], `messages/batches/${ID}`, "messages/batches/{id}"),
  free(["GET", "HEAD"], `messages/batches/${ID}/results`, "messages/batches/{id}/results"),
  free(["POST"], `messages/batches/${ID}/cancel`, "messages/batches/{id}/cancel"),
];

export function anthropicEndpoint(method: string, path: string): Endpoint {
  if (method === "POST") {
    if (path === "/v1/messages") return MESSAGES;
    if (path === "/v1/messages/batches") return BATCHES;
  }
  return FREE.find((entry) => (entry.methods === "any" || entry.methods.includes(method)) && entry.path.test(path))?.endpoint ?? OTHER;
}
