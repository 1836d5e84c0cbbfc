package arbiter

// The table of all pairs of a member's state and what it says. What does nothing is
// entered as one of the funcs that say why; a test walks all pairs.

// kind is what a member can say or do once it has joined.
type kind uint8

const (
	kEnded kind = iota
	kLeaving
	kTurn
	kAsk
	kDone
	kTook
	kMoved
	kSettled
	kNoServer
	kAlive
	numKinds
)

// of is whose event it is, and which.
func of(e Event) (Session, kind) {
	switch e := e.(type) {
	case *Ended:
		return e.Session, kEnded
	case *Leaving:
		return e.Session, kLeaving
	case *Turn:
		return e.Session, kTurn
	case *Ask:
		return e.Session, kAsk
	case *Done:
		return e.Session, kDone
	case *Took:
		return e.Session, kTook
	case *Moved:
		return e.Session, kMoved
	case *Settled:
		return e.Session, kSettled
	case *NoServer:
		return e.Session, kNoServer
	case *Alive:
		return e.Session, kAlive
	}
	return 0, kAlive
}

// generation is that of Took and Moved.
func generation(e Event) int {
	switch e := e.(type) {
	case *Took:
		return e.Generation
	case *Moved:
		return e.Generation
	}
	return 0
}

type memberAction func(*Arbiter, *member, Event)

func nobodyThere(*Arbiter, *member, Event)  {} // one that is away has no connection
func heardOf(*Arbiter, *member, Event)      {} // that it lives is noted for every event
func notHolder(*Arbiter, *member, Event)    {} // only the holder settles; it was one a moment ago
func unknownYet(*Arbiter, *member, Event)   {} // it is not known what it is; its hello counts
func noneAnyway(*Arbiter, *member, Event)   {} // it has no server that counts
func onItsWay(*Arbiter, *member, Event)     {} // it is leaving, nothing of it counts
func knownToLeave(*Arbiter, *member, Event) {} // it has said so before

var memberActions = [numStates][numKinds]memberAction{
	away: {
		kEnded: nobodyThere, kLeaving: nobodyThere, kTurn: nobodyThere, kAsk: nobodyThere, kDone: nobodyThere,
		kTook: nobodyThere, kMoved: nobodyThere, kSettled: nobodyThere, kNoServer: nobodyThere, kAlive: nobodyThere,
	},
	joining: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServerYet, kMoved: (*Arbiter).movedYet,
		kTook: unknownYet, kSettled: unknownYet, kAlive: heardOf,
	},
	rising: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kMoved: (*Arbiter).misled,
		kTook: (*Arbiter).tookLate, kSettled: notHolder, kNoServer: noneAnyway, kAlive: heardOf,
	},
	canary: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServer, kMoved: (*Arbiter).misled,
		kTook: (*Arbiter).tookLate, kSettled: notHolder, kAlive: heardOf,
	},
	committing: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServer, kMoved: (*Arbiter).misled,
		kTook: (*Arbiter).tookLate, kSettled: notHolder, kAlive: heardOf,
	},
	holding: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServer, kMoved: (*Arbiter).moved, kSettled: (*Arbiter).settled,
		kTook: (*Arbiter).corrected, kAlive: heardOf,
	},
	regaining: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServer, kTook: (*Arbiter).took, kMoved: (*Arbiter).took,
		kSettled: (*Arbiter).settled, kAlive: heardOf,
	},
	kept: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kNoServer: (*Arbiter).noServer, kTook: (*Arbiter).tookLate, kMoved: (*Arbiter).misled,
		kSettled: notHolder, kAlive: heardOf,
	},
	idle: {
		kEnded: (*Arbiter).ended, kLeaving: (*Arbiter).leave, kTurn: (*Arbiter).requested, kAsk: (*Arbiter).requested,
		kDone: (*Arbiter).done, kTook: (*Arbiter).tookLate, kMoved: (*Arbiter).misled,
		kSettled: notHolder, kNoServer: noneAnyway, kAlive: heardOf,
	},
	leaving: {
		kEnded: (*Arbiter).ended, kTurn: (*Arbiter).stops, kAsk: (*Arbiter).stops, kMoved: (*Arbiter).misled,
		kLeaving: knownToLeave, kDone: onItsWay, kTook: onItsWay, kSettled: onItsWay, kNoServer: onItsWay, kAlive: heardOf,
	},
}
