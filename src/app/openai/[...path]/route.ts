import { handleInNext } from "@/adapters/next-route";

export const dynamic = "force-dynamic";

export {
  handleInNext as GET,
  handleInNext as HEAD,
  handleInNext as POST,
  handleInNext as PUT,
  handleInNext as PATCH,
  handleInNext as DELETE,
  handleInNext as OPTIONS,
};
