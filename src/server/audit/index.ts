export { namesOfActors } from "./actor-names";
export { listAuditLog, ListAuditLogInput, type AuditRecord } from "./list";
export { recordChange, type Change } from "./record-change";
