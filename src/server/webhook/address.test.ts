import { expect, test } from "vitest";
import { isPublicAddress } from "./public-address";
import { createWebhookSender } from "./send-request";
import { webhookUrlProblem, type UrlPolicy } from "./url-policy";

const PRODUCTION: UrlPolicy = { allowPrivate: false, isProduction: true, ownOrigin: "https://nullspend.example.com" };

/** Hosts that are not on the public internet, as people and attackers write them. */
const LITERALS = [
  "127.0.0.1",
  "127.1",
  "127.0.1",
  "127.255.255.254",
  "0",
  "0.0.0.0",
  "0.0.0.1",
  "0x7f.0.0.1",
  "0x7f000001",
  "0X7F.1",
  "0177.0.0.1",
  "017700000001",
  "2130706433",
  "0177.0.0.0x1",
  "①②⑦.⓪.⓪.①",
  "127。0。0。1",
  "127.0.0.1.",
  "%31%32%37.0.0.1",
  "10.0.0.1",
  "10.255.255.255",
  "0xa.1",
  "012.0.0.1",
  "167772161",
  "172.16.0.1",
  "172.31.255.255",
  "2886729729",
  "0xac.0x10.0.1",
  "192.168.0.1",
  "192.168.1",
  "3232235521",
  "0xc0a80001",
  "0300.0250.0.1",
  "192.168.255.255",
  "169.254.169.254",
  "169.254.0.1",
  "2852039166",
  "0xa9fea9fe",
  "0251.0376.0251.0376",
  "0xa9.254.0xa9fe",
  "169.254.43518",
  "100.64.0.1",
  "100.100.100.200",
  "100.127.255.255",
  "198.18.0.1",
  "198.19.255.255",
  "192.0.0.1",
  "192.0.0.192",
  "192.0.2.1",
  "198.51.100.1",
  "203.0.113.1",
  "192.88.99.1",
  "192.31.196.1",
  "192.52.193.1",
  "192.175.48.1",
  "168.63.129.16",
  "2822734096",
  "224.0.0.1",
  "239.255.255.255",
  "240.0.0.1",
  "255.255.255.255",
  "0xffffffff",
  "4294967295",
  "233.252.0.1",
  "254.1",
  "[::1]",
  "[::]",
  "[0:0:0:0:0:0:0:1]",
  "[0000::0001]",
  "[::127.0.0.1]",
  "[::7f00:1]",
  "[::169.254.169.254]",
  "[::10.0.0.1]",
  "[::ffff:127.0.0.1]",
  "[::ffff:7f00:1]",
  "[::ffff:a9fe:a9fe]",
  "[::ffff:169.254.169.254]",
  "[::ffff:10.0.0.1]",
  "[::ffff:c0a8:1]",
  "[0:0:0:0:0:ffff:127.0.0.1]",
  "[::ffff:100.64.0.1]",
  "[::ffff:168.63.129.16]",
  "[::ffff:0.0.0.0]",
  "[::ffff:0:127.0.0.1]",
  "[64:ff9b::7f00:1]",
  "[64:ff9b::169.254.169.254]",
  "[64:ff9b::8.8.8.8]",
  "[64:ff9b:1::7f00:1]",
  "[64:ff9b:1::a9fe:a9fe]",
  "[2002:7f00:1::]",
  "[2002:a9fe:a9fe::1]",
  "[2002:a00:1::]",
  "[2002:c0a8:1::1]",
  "[2001::1]",
  "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
  "[2001:10::1]",
  "[2001:20::1]",
  "[2001:2::1]",
  "[2001:db8::1]",
  "[3fff::1]",
  "[100::1]",
  "[5f00::1]",
  "[4000::1]",
  "[fe80::1]",
  "[fe80::a9fe:a9fe]",
  "[febf::1]",
  "[fec0::1]",
  "[feff::1]",
  "[fc00::1]",
  "[fd00::1]",
  "[fd00:ec2::254]",
  "10.1",
  "0xa000001",
  "0x0a.0.0.1",
  "127.0x1",
  "0000.0.0.0",
  "192.0x00a80001",
  "[::ffff:192.0.2.1]",
  "[2001:4:112::1]",
  "[2001:30::1]",
  "[fdff:ffff::1]",
  "[ff02::1]",
  "[ff0e::1]",
  "[ff01::fb]",
  "[::2]",
  "[::ffff:0:a9fe:a9fe]",
];

test("L1: no form of a non-public address is accepted as an endpoint", () => {
  expect(new Set(LITERALS).size).toBeGreaterThanOrEqual(120);
  expect(LITERALS.filter((host) => webhookUrlProblem(`https://${host}/hook`, PRODUCTION) === undefined)).toEqual([]);
});

test("L1: no form of a non-public address is connected to, even where it was saved", async () => {
  const sender = createWebhookSender({ allowPrivate: false, timeoutMs: 3_000 });
  const outcomes = await Promise.all(
    LITERALS.map(async (host) => {
      const url = `http://${host}:9/hook`;
      return URL.canParse(url) ? (await sender.send({ url, headers: {}, body: "{}" })).error : "unparseable";
    }),
  );
  await sender.close();
  expect(outcomes.filter((error) => error !== "unparseable" && error !== "the address is not on the public internet")).toEqual([]);
});

test("addresses on the public internet are accepted in both families", () => {
  const addresses = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.215.14",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700::1111",
    "2a00:1450::1",
    "::ffff:8.8.8.8",
  ];
  expect(addresses.filter((address) => !isPublicAddress(address))).toEqual([]);
});

test("L4: names, ports, schemes and user names that lead elsewhere are refused", () => {
  const refused = [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com/",
    "javascript:alert(1)",
    "example.com",
    "",
    "https://user@example.com/",
    "https://user:pass@example.com/",
    "https://@example.com/",
    "https://example.com/#part",
    "https://localhost/",
    "https://localhost./",
    "https://LOCALHOST/",
    "https://a.localhost/",
    "https://metadata.google.internal/",
    "https://metadata/",
    "https://printer.local/",
    "https://db.corp/",
    "https://x.home.arpa/",
    "https://a.internal./",
    "https://intranet/",
    ...[22, 25, 53, 110, 143, 389, 445, 465, 587, 2375, 3306, 5432, 6379, 9200, 11211, 27017, 0].map(
      (port) => `https://example.com:${port}/`,
    ),
    "https://nullspend.example.com/v1/chat/completions",
    "https://NULLSPEND.example.com./",
    "https://nullspend.example.com:8443/api",
    "https://exa mple.com/",
    "https://example.com/a\\b",
    "https://example.com/\n",
    `https://example.com/${"a".repeat(2_000)}`,
  ];
  expect(refused.filter((url) => webhookUrlProblem(url, PRODUCTION) === undefined)).toEqual([]);
  const accepted = [
    "https://example.com/hooks?team=a",
    "https://hooks.example.com:8443/x",
    "https://8.8.8.8/",
    "https://exämple.com/",
    "https://a.b/x@y",
  ];
  expect(accepted.filter((url) => webhookUrlProblem(url, PRODUCTION) !== undefined)).toEqual([]);
});
