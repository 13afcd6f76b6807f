export { createApprovePage, type ApprovePage } from "./approve-page";
