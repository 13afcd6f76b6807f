import type { NextConfig } from "next";

const config: NextConfig = {
  // The gateway's route adapter must hand on the provider's bytes as they are.
  compress: false,
  poweredByHeader: false,
  serverExternalPackages: ["@prisma/adapter-pg", "pg", "undici", "@electric-sql/pglite", "pino", "prom-client"],
};

export default config;
