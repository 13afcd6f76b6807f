export { recordChange, type Change } from "./record-change";
