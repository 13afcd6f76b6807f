import NextAuth from "next-auth";
import type { NextRequest } from "next/server";
import { authOptions } from "@/adapters/auth/next-auth-options";
import { visitorOf } from "@/adapters/auth/visitor";

export const dynamic = "force-dynamic";

async function handle(request: NextRequest, context: { params: Promise<{ nextauth: string[] }> }): Promise<Response> {
  // next-auth's types know no app router; the running code takes both as they are.
  return (NextAuth as (...parts: unknown[]) => Promise<Response>)(request, context, authOptions(visitorOf(request.headers)));
}

export { handle as GET, handle as POST };
