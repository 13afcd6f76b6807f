export { type Job, type JobOutcome, type JobRunner, type Timers, createJobRunner } from "./job-runner";
export { createMaintenanceJobs } from "./maintenance";
