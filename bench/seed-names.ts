/** Ids that the seed and what reads it agree on. */
export const SEED_ORG_ID = "5eed0000-0000-4000-8000-000000000001";
export const SEED_USER_ID = "5eed0000-0000-4000-8000-000000000002";

/** Bare id of the seed's nth key, 0 to 39. */
export const seedKeyId = (key: number): string => `00000000-0000-7000-8000-${(4096 + key).toString(16).padStart(12, "0")}`;
