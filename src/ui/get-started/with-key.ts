/**
 * A snippet with the key itself in place of the variable that would hold it, so that it runs as it is pasted. The forms are those of
 * `clientSnippets`: JavaScript, Python and the shell.
 */
export function withKey(code: string, rawKey: string): string {
  return code
    .replaceAll("process.env.NULLSPEND_KEY", JSON.stringify(rawKey))
    .replaceAll('os.environ["NULLSPEND_KEY"]', JSON.stringify(rawKey))
    .replaceAll("${NULLSPEND_KEY}", rawKey)
    .replaceAll("$NULLSPEND_KEY", rawKey);
}
