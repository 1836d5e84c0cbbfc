package swap

// generationAction is what an event does to a generation in a state; where it
// does nothing, why says so.
type generationAction struct {
	do  func(*Machine, *generation, *GenerationEvent)
	why string
}

// The reasons for doing nothing.
const (
	whyOnce        = "happens once, and did before"
	whyReady       = "readiness is known already"
	whyNotAsked    = "asked for only while settling"
	whyGoing       = "on its way out: it is not waited for as a successor any more"
	whyNotOut      = "asked for only on the way out"
	whyGone        = "no event of it counts any more"
	whyAlways      = "an active generation's readiness changes nothing but health"
	whyNoLimit     = "has no deadline that it could extend"
	whyNoCanary    = "no canary of it runs"
	whyWorkers     = "only its workers have deadlines, and those were looked at"
	whyNothingHeld = "nobody has asked it to release anything"
	whyHandover    = "the handover is over"
	whyTold        = "it has been told to stop, whatever its connections do"
)

// generationActions is the table of all pairs of state and event; a test walks
// it and finds each pair with an action or a reason.
var generationActions = [numStates][numGenerationKinds]generationAction{
	Starting: {
		Started:     {do: (*Machine).started},
		StartFailed: {do: (*Machine).startFailed},
		Ready:       {do: (*Machine).becameReady},
		Never:       {do: (*Machine).neverReady},
		Verified:    {why: whyNotAsked},
		Refused:     {why: whyNotAsked},
		Exited:      {do: (*Machine).exited},
		Swept:       {why: whyNotOut},
		Extend:      {do: (*Machine).extendReady},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		Released:    {why: whyNothingHeld},
		Drained:     {why: whyNotOut},
		Busy:        {why: whyNotOut},
		CheckFailed: {why: whyNoCanary},
		Note:        {do: (*Machine).note},
		Expired:     {do: (*Machine).notReadyInTime},
	},
	Settling: {
		Started:     {do: (*Machine).started},
		StartFailed: {do: (*Machine).startFailed},
		Ready:       {do: (*Machine).becameReady},
		Never:       {why: whyReady},
		Verified:    {do: (*Machine).verified},
		Refused:     {do: (*Machine).refused},
		Exited:      {do: (*Machine).exited},
		Swept:       {why: whyNotOut},
		Extend:      {why: whyNoLimit},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		Released:    {why: whyNothingHeld},
		Drained:     {why: whyNotOut},
		Busy:        {why: whyNotOut},
		CheckFailed: {do: (*Machine).checkFailed},
		Note:        {why: whyReady},
		Expired:     {do: (*Machine).settling},
	},
	Active: {
		Started:     {do: (*Machine).started},
		StartFailed: {do: (*Machine).startFailed},
		Ready:       {do: (*Machine).becameReady},
		Never:       {why: whyAlways},
		Verified:    {why: whyNotAsked},
		Refused:     {why: whyNotAsked},
		Exited:      {do: (*Machine).exited},
		Swept:       {why: whyNotOut},
		Extend:      {why: whyNoLimit},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		Released:    {do: (*Machine).released},
		Drained:     {why: whyNotOut},
		Busy:        {why: whyNotOut},
		CheckFailed: {why: whyNoCanary},
		Note:        {do: (*Machine).note},
		Expired:     {why: whyWorkers},
	},
	Draining: {
		Started:     {why: whyOnce},
		StartFailed: {do: (*Machine).startFailed},
		Ready:       {do: (*Machine).becameReady},
		Never:       {why: whyAlways},
		Verified:    {why: whyNotAsked},
		Refused:     {why: whyNotAsked},
		Exited:      {do: (*Machine).exited},
		Swept:       {why: "its main process still runs"},
		Extend:      {why: whyNoLimit},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {why: whyGoing},
		Released:    {why: whyHandover},
		Drained:     {do: (*Machine).drained},
		Busy:        {do: (*Machine).busy},
		CheckFailed: {why: whyNoCanary},
		Note:        {why: whyAlways},
		Expired:     {do: (*Machine).drainExpired},
	},
	Stopping: {
		Started:     {why: whyGoing},
		StartFailed: {do: (*Machine).startFailed},
		Ready:       {why: whyGoing},
		Never:       {why: whyGoing},
		Verified:    {why: whyGoing},
		Refused:     {why: whyGoing},
		Exited:      {do: (*Machine).exited},
		Swept:       {do: (*Machine).swept},
		Extend:      {do: (*Machine).extendStop},
		Ping:        {why: "a watchdog does not watch what was told to stop; the stop's own deadline does"},
		Hung:        {why: "it was told to stop and has its deadline"},
		Joined:      {why: whyGoing},
		ReadyFor:    {why: whyGoing},
		Released:    {do: (*Machine).released},
		Drained:     {why: whyOnce},
		Busy:        {why: whyTold},
		CheckFailed: {why: whyNoCanary},
		Note:        {why: whyGoing},
		Expired:     {do: (*Machine).stopExpired},
	},
	Gone: {
		Started: {why: whyGone}, StartFailed: {why: whyGone}, Ready: {why: whyGone}, Never: {why: whyGone},
		Verified: {why: whyGone}, Refused: {why: whyGone}, Exited: {why: whyGone}, Swept: {why: whyGone},
		Extend: {why: whyGone}, Ping: {why: whyGone}, Hung: {why: whyGone}, Joined: {why: whyGone}, ReadyFor: {why: whyGone}, Released: {why: whyGone}, Drained: {why: whyGone}, Busy: {why: whyGone}, CheckFailed: {why: whyGone},
		Note: {why: whyGone}, Expired: {why: whyGone},
	},
}

// containerAction is what an event that concerns the container does in a phase.
type containerAction struct {
	do  func(*Machine, *ContainerEvent)
	why string
}

func ignore(*Machine, *ContainerEvent) {}

// containerActions is the table of all pairs of phase and container event.
var containerActions = [numPhases][numContainerKinds]containerAction{
	Running: {
		Swap:        {do: (*Machine).request},
		Prepared:    {do: (*Machine).prepared},
		Rollback:    {do: (*Machine).rollback},
		Promote:     {do: (*Machine).promote},
		Stop:        {do: (*Machine).stop},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Delaying: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: ignore, why: "a second one shortens nothing, the stop delay included"},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	StoppingAll: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: (*Machine).stopAgain},
		Forward:     {do: (*Machine).forward},
		NothingLeft: {do: ignore, why: "asked for only when sweeping"},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Sweeping: {
		Swap:        {do: (*Machine).refuse},
		Prepared:    {do: ignore, why: "the swap has been called off"},
		Rollback:    {do: (*Machine).refuse},
		Promote:     {do: (*Machine).refuse},
		Stop:        {do: ignore, why: "everything that is left has got its signal"},
		Forward:     {do: ignore, why: "the generation that it was meant for has ended"},
		NothingLeft: {do: (*Machine).nothingLeft},
		Tick:        {do: ignore, why: "deadlines are looked at in every step"},
	},
	Over: {
		Swap:        {do: ignore, why: "nothing follows the exit"},
		Prepared:    {do: ignore, why: "nothing follows the exit"},
		Rollback:    {do: ignore, why: "nothing follows the exit"},
		Promote:     {do: ignore, why: "nothing follows the exit"},
		Stop:        {do: ignore, why: "nothing follows the exit"},
		Forward:     {do: ignore, why: "nothing follows the exit"},
		NothingLeft: {do: ignore, why: "nothing follows the exit"},
		Tick:        {do: ignore, why: "nothing follows the exit"},
	},
}
