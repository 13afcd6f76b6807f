import { z } from "zod";
import {
  createDocument,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import type { AccessRule } from "@/server/access";
import { API_VERSION } from "@/server/gateway";
import type { DocumentedAnswer, ParamsSchema, PrincipalRoute, Route } from "./route";

const ErrorBody = z
  .object({
    error: z.object({
      code: z.string().meta({ examples: ["bad_request"] }),
      message: z.string().meta({ description: "One sentence for a person." }),
      details: z.record(z.string(), z.unknown()).nullable(),
    }),
  })
  .meta({ id: "Error" });

const idempotencyHeader = z.object({
  "Idempotency-Key": z
    .string()
    .max(255)
    .optional()
    .meta({ description: "Repeating a request with the same key within 24 hours gives the first answer again, without secrets." }),
});

/** The OpenAPI 3.1 document of exactly the routes that are served. */
export function openApiDocument(routes: readonly Route[], origin: string): ReturnType<typeof createDocument> {
  const paths: ZodOpenApiPathsObject = {};
  for (const route of routes) {
    const path = route.path.replaceAll("+}", "}");
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route) };
  }
  const document: ZodOpenApiObject = {
    openapi: "3.1.0",
    info: {
      title: "NullSpend",
      version: API_VERSION,
      description: "Cost tracking for AI agents. Money in `…Microdollars` is a number ($1 = 1,000,000) with at most three decimals.",
    },
    servers: [{ url: origin }],
    paths,
    components: {
      securitySchemes: {
        nullspendKey: { type: "apiKey", in: "header", name: "X-NullSpend-Key" },
        bearer: { type: "http", scheme: "bearer", description: "The same key as a bearer token." },
      },
    },
  };
  // Answers gain fields over time: a client that refuses unknown ones would break on the first.
  return createDocument(document, {
    override({ jsonSchema, io }) {
      if (io === "output" && jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
}

function operationOf(route: Route): ZodOpenApiOperationObject {
  const { operationId, tag, summary, description, access } = route;
  const shared = { operationId, tags: [tag], summary };
  if (access === "public") return { ...shared, description, security: [], responses: responsesOf(route.answers) };
  return {
    ...shared,
    description: [description, inWords(access)].filter(Boolean).join(" "),
    security: [{ nullspendKey: [] }, { bearer: [] }],
    requestParams: requestParamsOf(route),
    ...(route.body && { requestBody: { required: !route.bodyOptional, content: { "application/json": { schema: route.body } } } }),
    responses: {
      ...responsesOf(route.answers),
      default: { description: "An error.", content: { "application/json": { schema: ErrorBody } } },
    },
  };
}

/** Absent places are left out: the library reads every key that is there. */
function requestParamsOf(route: PrincipalRoute): ZodOpenApiOperationObject["requestParams"] {
  return {
    ...(route.params && { path: documented(route.params) }),
    ...(route.query && { query: documented(route.query) }),
    ...(route.method === "POST" && { header: idempotencyHeader }),
  };
}

/** `tags` stands for parameters named `tag.<key>`, one each: see `gatherTags`. */
const tagParameters = z
  .record(z.string(), z.string())
  .optional()
  .meta({
    description: "`tag.<key>=<value>`; all of them must match.",
    param: { style: "form", explode: true },
    override({ jsonSchema }) {
      delete jsonSchema.propertyNames;
      Object.assign(jsonSchema, { patternProperties: { "^tag\\.[A-Za-z0-9_-]{1,64}$": { type: "string" } }, additionalProperties: false });
    },
  });

/** Rules across fields have no place in a list of parameters, so only the fields are taken. */
function documented(schema: ParamsSchema): z.ZodObject<Record<string, z.ZodType>> {
  const fields = schema.shape as Record<string, z.ZodType>;
  return z.object("tags" in fields ? { ...fields, tags: tagParameters } : fields);
}

function responsesOf(answers: readonly DocumentedAnswer[]): ZodOpenApiResponsesObject {
  return Object.fromEntries(
    answers.map((answer) => {
      const content =
        "schema" in answer ? { "application/json": { schema: answer.schema } } : { [answer.contentType]: { schema: z.string() } };
      return [String(answer.status), { description: answer.description, content }];
    }),
  );
}

function inWords({ key, user }: AccessRule): string {
  const scopes = key === "session_only" ? undefined : `a key with ${key.map((scope) => `\`${scope}\``).join(" or ")}`;
  const role = user === "key_only" ? undefined : `the role ${user} or above`;
  return `Needs ${[scopes, role].filter(Boolean).join(", or ")}.`;
}
