package swap

// Stage is a step of a swap, as told to whoever waits for it.
type Stage string

const (
	StageQueued   Stage = "queued"   // another swap runs; this one comes next
	StageStarted  Stage = "started"  // the successor's program runs
	StageReady    Stage = "ready"    // the successor says that it is ready
	StageSettled  Stage = "settled"  // the successor has survived its settle time
	StageCanary   Stage = "canary"   // the successor gets a share of the new connections
	StageBatch    Stage = "batch"    // so many of the successor's workers, Reason, have replaced others
	StageCutOver  Stage = "cutover"  // the successor is the active generation
	StageKept     Stage = "kept"     // the predecessor, Other, is kept warm
	StageDraining Stage = "draining" // the predecessor, Other, has connections that are not idle
	StageStopping Stage = "stopping" // the predecessor, Other, has got its stop signal
	StageFailed   Stage = "failed"   // the successor has failed
	StageHook     Stage = "hook"     // what comes before the swap runs
	StageTakedown Stage = "takedown" // the predecessor, Other, is to release a resource, Reason
	StageGo       Stage = "go"       // the successor may use a resource, Reason
	StageRespawn  Stage = "respawn"  // Worker has ended and is started again; Reason
	StageBack     Stage = "back"     // the generation has the traffic again; Other lost it
	StageHung     Stage = "hung"     // the generation missed its watchdog and gets ABRT
)
