import type { Provider } from "../provider";
import { openaiEndpoint } from "./endpoints";
import { openaiErrorBody, openaiInBandError } from "./errors";
import { OpenaiMeter } from "./meter";
import { readOpenaiRequest } from "./read-request";

export const openai: Provider = {
  name: "openai",
  classify: openaiEndpoint,
  readRequest: readOpenaiRequest,
  meter: (input) => new OpenaiMeter(input),
  errorBody: openaiErrorBody,
  inBandError: openaiInBandError,
};
