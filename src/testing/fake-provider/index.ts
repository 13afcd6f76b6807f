export { startFakeProvider, type FakeExchange, type FakeProvider } from "./fake-provider";
export { parseScenario, SCENARIO_HEADER, scenarioHeader, type Quantities, type Scenario } from "./scenario";
export { zstdSupported, type Sent } from "./send-answer";
export { countTokens, textOfTokens } from "./tokens";
export { headerOf, type WireRequest } from "./wire-server";
