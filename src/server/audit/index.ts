export { namesOfActors } from "./actor-names";
export { listAuditLog, ListAuditLogInput, type AuditRecord } from "./list";
export { recordChange, recordChanges, type Change } from "./record-change";
