import { hash, randomBytes } from "node:crypto";

const RAW_KEY = /^ns_live_sk_[0-9a-f]{32}$/;
const PREFIX_LENGTH = 19;

/** Whether a string can be a key at all. What cannot never reaches the database. */
export const isRawKey = (value: string): boolean => value.length === 43 && RAW_KEY.test(value);

/** What is stored instead of the key. A plain hash is enough: 128 random bits cannot be guessed. */
export const hashRawKey = (rawKey: string): string => hash("sha256", rawKey, "hex");

export const newRawKey = (): string => `ns_live_sk_${randomBytes(16).toString("hex")}`;

/** The part that lists show. */
export const prefixOfRawKey = (rawKey: string): string => rawKey.slice(0, PREFIX_LENGTH);
