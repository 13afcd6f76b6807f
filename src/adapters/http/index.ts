export { createRestHandler, type RestHandler } from "./create-rest-handler";
export type { RestDeps } from "./deps";
export { openApiDocument } from "./openapi";
