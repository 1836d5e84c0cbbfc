package swap

// Stage is a step of a swap, as told to whoever waits for it, and logged.
type Stage string

// The stages; Stages says what they mean. With Detail some say more.
const (
	StageQueued     Stage = "queued"
	StageHook       Stage = "hook"
	StageStarted    Stage = "started"
	StageReady      Stage = "ready"
	StageSettled    Stage = "settled"
	StageCanary     Stage = "canary"      // Share, and for how long
	StageOneAddress Stage = "one-address" // not of the machine: pid1 says it
	StageBatch      Stage = "batch"       // how many of the workers
	StageTakedown   Stage = "takedown"    // the resource
	StageGo         Stage = "go"          // the resource
	StageCutOver    Stage = "cutover"
	StageKept       Stage = "kept"     // for how long
	StageDraining   Stage = "draining" // its connections
	StageStopping   Stage = "stopping" // why
	StageFailed     Stage = "failed"   // why
	StageDone       Stage = "done"     // not of the machine: pid1 says it
	StageRespawn    Stage = "respawn"  // Worker; why
	StageBack       Stage = "back"     // Generation has it again, Other has lost it (0: another container); why
	StageDied       Stage = "died"     // Other was active, and nobody takes over; why
	StageHung       Stage = "hung"     // Worker
)

// Stages is the only list of the stages, in the order in which they can come; the
// table of events in docs/control.md is rendered from it.
var Stages = [...]struct {
	Stage   Stage
	Means   string // Markdown
	Other   bool   // it names the predecessor, Progress.Other, and not the successor
	Besides string // a field of its event, besides generation and message
	Logged  bool   // it is only logged: no client is told
}{
	{Stage: StageQueued, Means: "another swap runs; this one comes after it"},
	{Stage: StageHook, Means: "SWAPINIT_PRE_SWAP runs"},
	{Stage: StageStarted, Means: "the successor runs", Besides: "pid"},
	{Stage: StageReady, Means: "it said that it is ready", Besides: "ms"},
	{Stage: StageSettled, Means: "it has lived on for the settle time", Besides: "ms"},
	{Stage: StageCanary, Means: "a stage begins: it has this share of the new connections (no share where networks decide)", Besides: "share"},
	{Stage: StageOneAddress, Means: "the canary is by client or by networks, and all connections come from one address: it has all of them or none"},
	{Stage: StageBatch, Means: "so many of its workers have replaced others (SWAPINIT_BATCH)"},
	{Stage: StageTakedown, Means: "handover: the predecessor is to release a resource", Other: true},
	{Stage: StageGo, Means: "handover: the successor is to take it"},
	{Stage: StageCutOver, Means: "it has the traffic", Besides: "ms"},
	{Stage: StageKept, Means: "the predecessor is kept warm (SWAPINIT_KEEP)", Other: true},
	{Stage: StageDraining, Means: "the predecessor still has connections", Other: true},
	{Stage: StageStopping, Means: "the predecessor got its stop signal", Other: true},
	{Stage: StageFailed, Means: "the successor failed, the predecessor goes on"},
	{Stage: StageDone, Means: "with `follow` only: the swap has succeeded"},
	{Stage: StageRespawn, Means: "a worker ended and is started again", Logged: true},
	{Stage: StageBack, Means: "the generation has the traffic again", Logged: true},
	{Stage: StageDied, Means: "the generation has ended, and there is none to go back to", Logged: true},
	{Stage: StageHung, Means: "the generation missed its watchdog and gets ABRT", Logged: true},
}
