package swap

// The three tables. An entry has an action, or a reason for doing nothing; a test walks
// all pairs.

// generationAction is what an event does to a generation in a state.
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
	whyAlways      = "its readiness changes nothing any more"
	whyNoLimit     = "has no deadline that it could extend"
	whyNoCanary    = "no canary of it runs"
	whyWorkers     = "only its workers have deadlines, and those were looked at"
	whyNothingHeld = "nobody has asked it to release anything"
	whyTold        = "it has been told to stop, whatever its connections do"
	whyKept        = "its connections are looked at when it drains"
	whyDead        = "none of its workers lives"
	whyKilled      = "it has got KILL"
)

// generationActions is the table of all pairs of state and event of a generation.
var generationActions = [numStates][numGenerationKinds]generationAction{
	Starting: {
		Started:     {do: (*Machine).successorStarted},
		StartFailed: {do: (*Machine).successorExited},
		Ready:       {do: (*Machine).becameReady},
		Never:       {do: (*Machine).doomed},
		Exited:      {do: (*Machine).successorExited},
		Extend:      {do: (*Machine).extend},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).successorHung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		Note:        {do: (*Machine).noted},
		Expired:     {do: (*Machine).startingExpired},
		Verified:    {why: whyNotAsked}, Refused: {why: whyNotAsked},
		Swept: {why: whyNotOut}, Drained: {why: whyNotOut}, Busy: {why: whyNotOut},
		Released:    {why: whyNothingHeld},
		CheckFailed: {why: whyNoCanary},
	},
	Settling: {
		Started:     {do: (*Machine).successorStarted},
		StartFailed: {do: (*Machine).successorExited},
		Ready:       {do: (*Machine).becameReady},
		Verified:    {do: (*Machine).verified},
		Refused:     {do: (*Machine).doomed},
		Exited:      {do: (*Machine).successorExited},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).successorHung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		CheckFailed: {do: (*Machine).checkFailed},
		Expired:     {do: (*Machine).settlingExpired},
		Never:       {why: whyReady}, Note: {why: whyReady},
		Swept: {why: whyNotOut}, Drained: {why: whyNotOut}, Busy: {why: whyNotOut},
		Extend:   {why: whyNoLimit},
		Released: {why: whyNothingHeld},
	},
	Active: {
		Started:     {do: (*Machine).started},
		StartFailed: {do: (*Machine).servingExited},
		Ready:       {do: (*Machine).becameReady},
		Exited:      {do: (*Machine).servingExited},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		ReadyFor:    {do: (*Machine).readyFor},
		Released:    {do: (*Machine).releasedResource},
		Note:        {do: (*Machine).noted},
		Never:       {why: whyAlways},
		Verified:    {why: whyNotAsked}, Refused: {why: whyNotAsked},
		Swept: {why: whyNotOut}, Drained: {why: whyNotOut}, Busy: {why: whyNotOut},
		Extend:      {why: whyNoLimit},
		CheckFailed: {why: whyNoCanary},
		Expired:     {why: whyWorkers},
	},
	Kept: {
		Started:     {do: (*Machine).started},
		StartFailed: {do: (*Machine).servingExited},
		Ready:       {do: (*Machine).becameReady},
		Exited:      {do: (*Machine).servingExited},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		Expired:     {do: (*Machine).keepExpired},
		Never:       {why: whyAlways}, Note: {why: whyAlways},
		Verified: {why: whyNotAsked}, Refused: {why: whyNotAsked},
		Swept:    {why: whyNotOut},
		Extend:   {why: whyNoLimit},
		ReadyFor: {why: whyGoing},
		Released: {why: whyNothingHeld},
		Drained:  {why: whyKept}, Busy: {why: whyKept},
		CheckFailed: {why: whyNoCanary},
	},
	Draining: {
		StartFailed: {do: (*Machine).leavingExited},
		Ready:       {do: (*Machine).becameReady},
		Exited:      {do: (*Machine).leavingExited},
		Ping:        {do: (*Machine).ping},
		Hung:        {do: (*Machine).hung},
		Joined:      {do: (*Machine).join},
		Drained:     {do: (*Machine).drained},
		Busy:        {do: (*Machine).busy},
		Expired:     {do: (*Machine).drainExpired},
		Started:     {why: whyOnce},
		Never:       {why: whyAlways}, Note: {why: whyAlways},
		Verified: {why: whyNotAsked}, Refused: {why: whyNotAsked},
		Swept:       {why: whyNotOut},
		Extend:      {why: whyNoLimit},
		ReadyFor:    {why: whyGoing},
		Released:    {why: whyNothingHeld},
		CheckFailed: {why: whyNoCanary},
	},
	Stopping: {
		StartFailed: {do: (*Machine).leavingExited},
		Exited:      {do: (*Machine).leavingExited},
		Extend:      {do: (*Machine).extend},
		Released:    {do: (*Machine).releasedResource},
		Expired:     {do: (*Machine).stoppingExpired},
		Started:     {why: whyGoing}, Ready: {why: whyGoing}, Never: {why: whyGoing}, Verified: {why: whyGoing},
		Refused: {why: whyGoing}, Joined: {why: whyGoing}, ReadyFor: {why: whyGoing}, Note: {why: whyGoing},
		Swept: {why: whyNotOut},
		Ping:  {why: whyTold}, Hung: {why: whyTold}, Busy: {why: whyTold},
		Drained:     {why: whyOnce},
		CheckFailed: {why: whyNoCanary},
	},
	Killing: {
		StartFailed: {do: (*Machine).leavingExited},
		Exited:      {do: (*Machine).leavingExited},
		Expired:     {do: (*Machine).survived},
		Started:     {why: whyKilled}, Ready: {why: whyKilled}, Never: {why: whyKilled}, Verified: {why: whyKilled},
		Refused: {why: whyKilled}, Swept: {why: whyKilled}, Extend: {why: whyKilled}, Ping: {why: whyKilled},
		Hung: {why: whyKilled}, Joined: {why: whyKilled}, ReadyFor: {why: whyKilled}, Released: {why: whyKilled},
		Drained: {why: whyKilled}, Busy: {why: whyKilled}, CheckFailed: {why: whyKilled}, Note: {why: whyKilled},
	},
	Leftovers: {
		StartFailed: {do: (*Machine).leftoverExited},
		Exited:      {do: (*Machine).leftoverExited},
		Swept:       {do: (*Machine).swept},
		Expired:     {do: (*Machine).leftoversExpired},
		Started:     {why: whyDead}, Ready: {why: whyDead}, Never: {why: whyDead}, Verified: {why: whyDead},
		Refused: {why: whyDead}, Extend: {why: whyDead}, Ping: {why: whyDead}, Hung: {why: whyDead},
		Joined: {why: whyDead}, ReadyFor: {why: whyDead}, Released: {why: whyDead}, Drained: {why: whyDead},
		Busy: {why: whyDead}, CheckFailed: {why: whyDead}, Note: {why: whyDead},
	},
	KilledLeftovers: {
		StartFailed: {do: (*Machine).leftoverExited},
		Exited:      {do: (*Machine).leftoverExited},
		Swept:       {do: (*Machine).swept},
		Expired:     {do: (*Machine).abandoned},
		Started:     {why: whyDead}, Ready: {why: whyDead}, Never: {why: whyDead}, Verified: {why: whyDead},
		Refused: {why: whyDead}, Extend: {why: whyDead}, Ping: {why: whyDead}, Hung: {why: whyDead},
		Joined: {why: whyDead}, ReadyFor: {why: whyDead}, Released: {why: whyDead}, Drained: {why: whyDead},
		Busy: {why: whyDead}, CheckFailed: {why: whyDead}, Note: {why: whyDead},
	},
	Gone: {
		Started: {why: whyGone}, StartFailed: {why: whyGone}, Ready: {why: whyGone}, Never: {why: whyGone},
		Verified: {why: whyGone}, Refused: {why: whyGone}, Exited: {why: whyGone}, Swept: {why: whyGone},
		Extend: {why: whyGone}, Ping: {why: whyGone}, Hung: {why: whyGone}, Joined: {why: whyGone},
		ReadyFor: {why: whyGone}, Released: {why: whyGone}, Drained: {why: whyGone}, Busy: {why: whyGone},
		CheckFailed: {why: whyGone}, Note: {why: whyGone}, Expired: {why: whyGone},
	},
}
