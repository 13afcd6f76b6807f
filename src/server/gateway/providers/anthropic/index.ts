import type { Provider } from "../provider";
import { anthropicEndpoint } from "./endpoints";
import { anthropicErrorBody, anthropicInBandError } from "./errors";
import { AnthropicMeter } from "./meter";
import { readAnthropicRequest } from "./read-request";

export const anthropic: Provider = {
  name: "anthropic",
  classify: anthropicEndpoint,
  readRequest: readAnthropicRequest,
  meter: (input) => new AnthropicMeter(input),
  errorBody: anthropicErrorBody,
  inBandError: anthropicInBandError,
};
