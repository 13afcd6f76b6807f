import type { NextConfig } from "next";

const config: NextConfig = {
  // The gateway's route adapter must hand on the provider's bytes as they are.
  compress: false,
  poweredByHeader: false,
  // Pictures are served as they are: no endpoint that resizes what it is pointed at.
  images: { unoptimized: true },
  // `npm run verify` checks types, tests included; a start should not fail on those.
  typescript: { ignoreBuildErrors: true },
  serverExternalPackages: ["@prisma/adapter-pg", "pg", "undici", "@electric-sql/pglite", "pino", "prom-client"],
};

export default config;
