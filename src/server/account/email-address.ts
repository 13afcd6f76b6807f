const LENGTH_MAX = 254;
/** One plain address: no quotes, no comments, no lists, no display name, nothing outside ASCII that could look like it. */
const PLAIN = /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)+$/;

/**
 * The form in which an address is stored and compared: lower case, without the space around it. Undefined for what is not exactly one
 * plain address, so that what a mail server would read otherwise than we do is never mailed to.
 */
export function normaliseEmail(text: string): string | undefined {
  const email = text.trim().toLowerCase();
  if (email.length > LENGTH_MAX || !PLAIN.test(email)) return undefined;
  const local = email.slice(0, email.indexOf("@"));
  return local.startsWith(".") || local.endsWith(".") || local.includes("..") ? undefined : email;
}
