export {Belay} from "./client.js";
export {BelayError} from "./http.js";
export {Escalation} from "./people.js";
export {Ending, Play} from "./play.js";
export {Run, TimeoutError} from "./run.js";
export {Failure, NeedHuman, NothingHappened, Permanent, Retry, RetryAfter, Stopped, tool, work} from "./worker.js";
