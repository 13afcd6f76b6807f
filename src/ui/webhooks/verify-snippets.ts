import type { Language } from "@/ui/lib/highlight";

export type VerifySnippet = { id: "js" | "python" | "go" | "php"; label: string; language: Language; code: string };

const js = `import { createHmac, timingSafeEqual } from "node:crypto";

// body: the raw bytes of the request, not parsed and written again.
export function verify(body, header, secret) {
  const [time, ...rest] = header.split(",");
  const timestamp = time.replace("t=", "");
  if (Math.abs(Date.now() / 1000 - Number(timestamp)) > 300) return false;
  const expected = createHmac("sha256", secret).update(timestamp + "." + body).digest("hex");
  return rest.some((part) => {
    const given = part.replace("v1=", "");
    return given.length === expected.length && timingSafeEqual(Buffer.from(given), Buffer.from(expected));
  });
}
`;

const python = `import hashlib
import hmac
import time


# body: the raw bytes of the request, not parsed and written again.
def verify(body: bytes, header: str, secret: str) -> bool:
    first, *rest = header.split(",")
    timestamp = first.removeprefix("t=")
    if not timestamp.isdigit() or abs(time.time() - int(timestamp)) > 300:
        return False
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(part.removeprefix("v1="), expected) for part in rest)
`;

const go = `package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strconv"
	"strings"
	"time"
)

// Verify takes the raw bytes of the request, not parsed and written again.
func Verify(body []byte, header, secret string) bool {
	parts := strings.Split(header, ",")
	timestamp := strings.TrimPrefix(parts[0], "t=")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || math.Abs(float64(time.Now().Unix()-seconds)) > 300 {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	expected := hex.EncodeToString(mac.Sum(nil))
	for _, part := range parts[1:] {
		if hmac.Equal([]byte(strings.TrimPrefix(part, "v1=")), []byte(expected)) {
			return true
		}
	}
	return false
}
`;

const php = `<?php
// $body: file_get_contents('php://input'), not parsed and written again.
function verify(string $body, string $header, string $secret): bool
{
    $parts = explode(',', $header);
    $timestamp = substr(array_shift($parts), strlen('t='));
    if (!ctype_digit($timestamp) || abs(time() - (int) $timestamp) > 300) {
        return false;
    }
    $expected = hash_hmac('sha256', $timestamp . '.' . $body, $secret);
    foreach ($parts as $part) {
        if (hash_equals($expected, substr($part, strlen('v1=')))) {
            return true;
        }
    }
    return false;
}
`;

/** How a receiver checks `X-NullSpend-Signature` without a library of ours. */
export const VERIFY_SNIPPETS: readonly VerifySnippet[] = [
  { id: "js", label: "JavaScript", language: "js", code: js },
  { id: "python", label: "Python", language: "python", code: python },
  { id: "go", label: "Go", language: "js", code: go },
  { id: "php", label: "PHP", language: "js", code: php },
];
