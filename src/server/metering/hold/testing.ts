import { createDearestPrices, createListPriceBook } from "@/server/pricing";
import type { HoldFacts, HoldInput } from "./hold-input";

/** Texts of every kind that tokenizers treat differently. */
export const TEXTS: Readonly<Record<string, string>> = {
  English: "The quick brown fox jumps over the lazy dog; it isn't tired, is it?  It ran 1,234.56 miles.\n\n",
  code: "export const sum = (xs: readonly number[]): number => xs.reduce((total, x) => total + x, 0); // O(n)\n\tif (a?.b !== c[i++]) {\n",
  JSON: '{"id":"call_7f3k","at":1795000000,"tags":["team-a",null,0.142857],"ok":true,"nested":{"a":{"b":[1,2,3]}}}',
  Chinese: "今天天气很好，我们去公园散步。模型的价格是按令牌计算的，请注意。",
  Japanese: "これは日本語の文章です。トークンの数を数えます。\n",
  Russian: "Быстрая коричневая лиса прыгает через ленивую собаку. ",
  Arabic: "هذه جملة باللغة العربية لاختبار عدد الرموز. ",
  Thai: "นี่คือประโยคภาษาไทยสำหรับทดสอบ ",
  emoji: "Nice 👩‍👩‍👧‍👦 flag 🏳️‍🌈 and 🎉🎉🎉! ",
  base64: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJpLvA",
  blanks: "      \n\n\n\t\t\t          ",
  digits: "31415926535897932384626433832795 0288419716939937510 58209749445923078164",
  signs: "======------>>>>>>####****!!!!????%%%%&&&&(((([[[[{{{{~~~~",
  gibberish: "xqzjv wkqpf bnmzx hgqtr plkwz vcxqj ",
};

const list = createListPriceBook();
const dearest = createDearestPrices(list);

export const AT_MS = Date.UTC(2026, 10, 24, 12);
export const findPrice: HoldInput["findPrice"] = (query) => list.findPrice(query);

type Json = Record<string, unknown>;

/** A call as the gateway hands it over. Facts are read the way the gateway reads them; `facts` says what differs. */
export function holdInput(
  dialect: "openai" | "anthropic",
  name: string,
  body: Json,
  more: Partial<Omit<HoldInput, "facts">> & { facts?: Partial<HoldFacts> } = {},
): HoldInput {
  const text = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined);
  const { facts, ...rest } = more;
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const told = {
    model: text(body["model"]),
    serviceTier: text(body["service_tier"]),
    speed: text(body["speed"]),
    inferenceGeo: text(body["inference_geo"]),
    inputCharacters: name === "audio/speech" ? Array.from(text(body["input"]) ?? "").length : undefined,
  };
  return {
    dialect,
    provider: dialect,
    method: "POST",
    endpoint: { class: "priced", name, body: "json" },
    body: bytes,
    facts: {
      ...Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)),
      stream: body["stream"] === true,
      choices: typeof body["n"] === "number" ? body["n"] : 1,
      background: body["background"] === true,
      thinksUnseen: dialect === "openai" && !/^(?:gpt-4|gpt-3|chatgpt-4o|gpt-audio)/.test(text(body["model"]) ?? ""),
      ...facts,
    },
    orgId: "00000000-0000-7000-8000-000000000001",
    atMs: AT_MS,
    findPrice,
    findDearestPrice: (query) => dearest.findDearestPrice(query),
    ...rest,
  };
}
