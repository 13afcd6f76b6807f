import { handleInNext } from "@/adapters/next-route";

export const dynamic = "force-dynamic";

export { handleInNext as GET, handleInNext as HEAD };
