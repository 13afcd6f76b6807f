const mark = "[redacted]";

/**
 * What looks like a credential, by its issuer's prefix or by where it stands. The last rule takes any long run of letters and digits:
 * providers invent prefixes faster than a list grows, and ids that are worth reading are shorter or hold dashes.
 */
const credentialPatterns: readonly RegExp[] = [
  // Ours, with the provider's key that a composite credential carries behind it.
  /ns_live_sk_[0-9A-Za-z]*(?::[^\s"',;]+)?/g,
  /\b(?:sk|pk|rk|re)[-_][A-Za-z0-9_-]{6,}/g,
  /\b(?:whsec_|gh[pousr]_|github_pat_|glpat-|xox[a-z]-|xapp-|AIza|AKIA|ASIA|gsk_|xai-|hf_|npm_)[A-Za-z0-9+/=_-]{6,}/g,
  /\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?/g,
  /(?<=\b(?:bearer|basic)\s+)[^\s"',;]+/gi,
  /(?<=:\/\/)[^\s"']+(?=@)/g,
  /(?<=\b(?:authorization|cookie|(?:x-|proxy-)?(?:goog-)?api[-_]?key|access[-_]?token|refresh[-_]?token|client[-_]?secret|secret|password|passwd|pwd|token|signature|key)["']?\s*[=:]\s*["']?)(?!\[redacted\]|(?:bearer|basic)\s)[^\s"',;&)}]+/gi,
  /[A-Za-z0-9_+/=]*[A-Za-z0-9]{40,}[A-Za-z0-9_+/=]*/g,
];

const lengthMax = 300;

/** Text for the log: one line, of limited length, without anything that looks like a credential. */
export function redact(text: string): string {
  // Cut generously first, so that a body quoted in an error costs nothing; cut again afterwards, so that no credential is halved.
  let line = text.slice(0, lengthMax * 4).replace(/[\p{Cc}\p{Cf}\u2028\u2029]+/gu, " ");
  for (const pattern of credentialPatterns) line = line.replace(pattern, mark);
  return line.length > lengthMax ? `${line.slice(0, lengthMax)}…` : line;
}
