export { createFreeze } from "./create";
export { CreateFreezeInput, ListFreezesInput } from "./input";
export { liftFreeze } from "./lift";
export { listFreezes } from "./list";
export { PublicFreeze } from "./public-freeze";
