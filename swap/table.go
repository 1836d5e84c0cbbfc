package swap

// The tables of all pairs of state and event. What does nothing is entered as one of
// the funcs that say why; a test walks all pairs.

type generationAction func(*Machine, *generation, *GenerationEvent)

func happenedBefore(*Machine, *generation, *GenerationEvent)  {} // happens once, and did before
func knownReady(*Machine, *generation, *GenerationEvent)      {} // readiness is known already
func notAsked(*Machine, *generation, *GenerationEvent)        {} // asked for only while settling
func notAwaited(*Machine, *generation, *GenerationEvent)      {} // on its way out: it is not waited for as a successor any more
func notLeaving(*Machine, *generation, *GenerationEvent)      {} // asked for only on the way out
func noMore(*Machine, *generation, *GenerationEvent)          {} // no event of it counts any more
func readinessIsPast(*Machine, *generation, *GenerationEvent) {} // its readiness changes nothing any more
func noLimit(*Machine, *generation, *GenerationEvent)         {} // has no deadline that it could extend
func noCanary(*Machine, *generation, *GenerationEvent)        {} // no canary of it runs
func workersOnly(*Machine, *generation, *GenerationEvent)     {} // only its workers have deadlines, and those were looked at
func nothingHeld(*Machine, *generation, *GenerationEvent)     {} // nobody has asked it to release anything
func toldAlready(*Machine, *generation, *GenerationEvent)     {} // it has been told to stop, whatever its connections do
func notYet(*Machine, *generation, *GenerationEvent)          {} // its connections are looked at when it drains
func nobodyLives(*Machine, *generation, *GenerationEvent)     {} // none of its workers lives
func killedAlready(*Machine, *generation, *GenerationEvent)   {} // it has got KILL

var generationActions = [numStates][numGenerationKinds]generationAction{
	Starting: {
		Started: (*Machine).successorStarted, StartFailed: (*Machine).successorExited, Ready: (*Machine).becameReady,
		Never: (*Machine).doomed, Exited: (*Machine).successorExited, Extend: (*Machine).extend,
		Ping: (*Machine).ping, Hung: (*Machine).successorHung, Joined: (*Machine).join,
		ReadyFor: (*Machine).readyFor, Note: (*Machine).noted, Expired: (*Machine).startingExpired,
		Verified: notAsked, Refused: notAsked, Swept: notLeaving, Drained: notLeaving, Busy: notLeaving,
		Released: nothingHeld, CheckFailed: noCanary,
	},
	Settling: {
		Started: (*Machine).successorStarted, StartFailed: (*Machine).successorExited, Ready: (*Machine).becameReady,
		Verified: (*Machine).verified, Refused: (*Machine).doomed, Exited: (*Machine).successorExited,
		Ping: (*Machine).ping, Hung: (*Machine).successorHung, Joined: (*Machine).join,
		ReadyFor: (*Machine).readyFor, CheckFailed: (*Machine).checkFailed, Expired: (*Machine).settlingExpired,
		Never: knownReady, Note: knownReady, Swept: notLeaving, Drained: notLeaving, Busy: notLeaving,
		Extend: noLimit, Released: nothingHeld,
	},
	Active: {
		Started: (*Machine).started, StartFailed: (*Machine).servingExited, Ready: (*Machine).becameReady,
		Exited: (*Machine).servingExited, Ping: (*Machine).ping, Hung: (*Machine).hung, Joined: (*Machine).join,
		ReadyFor: (*Machine).readyFor, Released: (*Machine).releasedResource, Note: (*Machine).noted,
		Drained: (*Machine).stopDrained,
		Never:   readinessIsPast, Verified: notAsked, Refused: notAsked, Swept: notLeaving,
		Busy: notLeaving, Extend: noLimit, CheckFailed: noCanary, Expired: workersOnly,
	},
	Kept: {
		Started: (*Machine).started, StartFailed: (*Machine).servingExited, Ready: (*Machine).becameReady,
		Exited: (*Machine).servingExited, Ping: (*Machine).ping, Hung: (*Machine).hung, Joined: (*Machine).join,
		Expired: (*Machine).keepExpired,
		Never:   readinessIsPast, Note: readinessIsPast, Verified: notAsked, Refused: notAsked, Swept: notLeaving,
		Extend: noLimit, ReadyFor: notAwaited, Released: nothingHeld, Drained: notYet, Busy: notYet,
		CheckFailed: noCanary,
	},
	Draining: {
		StartFailed: (*Machine).leavingExited, Ready: (*Machine).becameReady, Exited: (*Machine).leavingExited,
		Ping: (*Machine).ping, Hung: (*Machine).hung, Joined: (*Machine).join, Drained: (*Machine).drained,
		Busy: (*Machine).busy, Expired: (*Machine).drainExpired,
		Started: happenedBefore, Never: readinessIsPast, Note: readinessIsPast, Verified: notAsked,
		Refused: notAsked, Swept: notLeaving, Extend: noLimit, ReadyFor: notAwaited, Released: nothingHeld,
		CheckFailed: noCanary,
	},
	Stopping: {
		StartFailed: (*Machine).leavingExited, Exited: (*Machine).leavingExited, Extend: (*Machine).extend,
		Released: (*Machine).releasedResource, Expired: (*Machine).stoppingExpired,
		Started: notAwaited, Ready: notAwaited, Never: notAwaited, Verified: notAwaited, Refused: notAwaited,
		Joined: notAwaited, ReadyFor: notAwaited, Note: notAwaited, Swept: notLeaving, Ping: toldAlready,
		Hung: toldAlready, Busy: toldAlready, Drained: happenedBefore, CheckFailed: noCanary,
	},
	Killing: {
		StartFailed: (*Machine).leavingExited, Exited: (*Machine).leavingExited, Expired: (*Machine).survived,
		Started: killedAlready, Ready: killedAlready, Never: killedAlready, Verified: killedAlready,
		Refused: killedAlready, Swept: killedAlready, Extend: killedAlready, Ping: killedAlready,
		Hung: killedAlready, Joined: killedAlready, ReadyFor: killedAlready, Released: killedAlready,
		Drained: killedAlready, Busy: killedAlready, CheckFailed: killedAlready, Note: killedAlready,
	},
	Leftovers: {
		StartFailed: (*Machine).leftoverExited, Exited: (*Machine).leftoverExited, Swept: (*Machine).swept,
		Expired: (*Machine).leftoversExpired,
		Started: nobodyLives, Ready: nobodyLives, Never: nobodyLives, Verified: nobodyLives, Refused: nobodyLives,
		Extend: nobodyLives, Ping: nobodyLives, Hung: nobodyLives, Joined: nobodyLives, ReadyFor: nobodyLives,
		Released: nobodyLives, Drained: nobodyLives, Busy: nobodyLives, CheckFailed: nobodyLives, Note: nobodyLives,
	},
	KilledLeftovers: {
		StartFailed: (*Machine).leftoverExited, Exited: (*Machine).leftoverExited, Swept: (*Machine).swept,
		Expired: (*Machine).abandoned,
		Started: nobodyLives, Ready: nobodyLives, Never: nobodyLives, Verified: nobodyLives, Refused: nobodyLives,
		Extend: nobodyLives, Ping: nobodyLives, Hung: nobodyLives, Joined: nobodyLives, ReadyFor: nobodyLives,
		Released: nobodyLives, Drained: nobodyLives, Busy: nobodyLives, CheckFailed: nobodyLives, Note: nobodyLives,
	},
	Gone: {
		Started: noMore, StartFailed: noMore, Ready: noMore, Never: noMore, Verified: noMore, Refused: noMore,
		Exited: noMore, Swept: noMore, Extend: noMore, Ping: noMore, Hung: noMore, Joined: noMore, ReadyFor: noMore,
		Released: noMore, Drained: noMore, Busy: noMore, CheckFailed: noMore, Note: noMore, Expired: noMore,
	},
}
