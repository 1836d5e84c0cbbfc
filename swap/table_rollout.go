package swap

type rolloutAction func(*Machine, *raised)

func noSwap(*Machine, *raised)         {} // no swap runs
func swapRuns(*Machine, *raised)       {} // a swap runs already
func notPreparing(*Machine, *raised)   {} // nothing is being prepared
func noDeadline(*Machine, *raised)     {} // has no deadline
func noSuccessor(*Machine, *raised)    {} // there is no successor yet
func calledOff(*Machine, *raised)      {} // its swap was called off; it is told to stop with all others
func failedBefore(*Machine, *raised)   {} // it has failed already
func failedFirst(*Machine, *raised)    {} // a successor that ends has failed before that
func provenBefore(*Machine, *raised)   {} // it has proved itself already
func firstBatchOnly(*Machine, *raised) {} // it counts for the first batch only
func noCheck(*Machine, *raised)        {} // a check counts only while a canary runs
func noBatch(*Machine, *raised)        {} // no workers are being replaced, or given back
func notWaitedFor(*Machine, *raised)   {} // nothing waits for its end
func endedForSwap(*Machine, *raised)   {} // it ended for the swap's sake, and its command is started again when it is gone
func roomEnough(*Machine, *raised)     {} // nothing waits for room
func unasked(*Machine, *raised)        {} // nobody has asked it to release anything
func notAsking(*Machine, *raised)      {} // the gate is not asked for anything

var rolloutActions = [numRolloutStates][numRolloutKinds]rolloutAction{
	noRollout: {
		requested: (*Machine).request, back: (*Machine).rollback, cancelled: (*Machine).nothingToCancel, promoted: (*Machine).promote,
		begins: (*Machine).beginQueued, ended: (*Machine).activeEnded, wants: (*Machine).letGo,
		hooked: noSwap, due: noDeadline, risen: calledOff, settled: calledOff, proved: calledOff, late: calledOff,
		failing: calledOff, rejected: calledOff, workerGone: noBatch, restarted: noBatch, whole: noBatch,
		successorEnded: noSuccessor, survived: notWaitedFor, gone: roomEnough, released: unasked,
		granted: notAsking, denied: noSwap, lost: (*Machine).yield, regained: (*Machine).regain, called: (*Machine).serve,
	},
	preparing: {
		requested: (*Machine).enqueue, hooked: (*Machine).prepared, back: (*Machine).cancel, cancelled: (*Machine).cancel,
		promoted: (*Machine).promote, due: (*Machine).prepareDue, ended: (*Machine).endedBeforeStart,
		wants:  (*Machine).letGo,
		begins: swapRuns, risen: noSuccessor, settled: noSuccessor, proved: noSuccessor, late: noSuccessor,
		failing: noSuccessor, rejected: noSuccessor, successorEnded: noSuccessor, workerGone: noBatch,
		restarted: noBatch, whole: noBatch, survived: notWaitedFor, gone: roomEnough, released: unasked,
		denied: (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	waitingRoom: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promote,
		due: (*Machine).roomDue, ended: (*Machine).endedBeforeStart, survived: (*Machine).makeRoom,
		gone: (*Machine).makeRoom, wants: (*Machine).letGo,
		hooked: notPreparing, begins: swapRuns, risen: noSuccessor, settled: noSuccessor, proved: noSuccessor,
		late: noSuccessor, failing: noSuccessor, rejected: noSuccessor, successorEnded: noSuccessor,
		workerGone: noBatch, restarted: noBatch, whole: noBatch, released: unasked,
		denied: (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	asking: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promote,
		failing: (*Machine).fail, rejected: (*Machine).fail, ended: (*Machine).endedWhileAsking, wants: (*Machine).letGo,
		granted: (*Machine).goOn, denied: (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap,
		called: (*Machine).regainInSwap,
		hooked: notPreparing, begins: swapRuns, due: noDeadline, risen: provenBefore, settled: provenBefore,
		proved: provenBefore, late: provenBefore, workerGone: noBatch, restarted: noBatch, whole: noBatch,
		successorEnded: failedFirst, survived: notWaitedFor, gone: roomEnough, released: unasked,
	},
	rising: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promote,
		risen: (*Machine).successorRisen, settled: (*Machine).successorSettled, proved: (*Machine).proceed,
		late: (*Machine).lateSuccessor, failing: (*Machine).fail, ended: (*Machine).endedWhileRising,
		wants:  (*Machine).ask,
		hooked: notPreparing, begins: swapRuns, due: noDeadline, rejected: noCheck, workerGone: noBatch,
		restarted: noBatch, whole: noBatch, successorEnded: failedFirst, survived: notWaitedFor, gone: roomEnough,
		released: unasked,
		denied:   (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	handingOver: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promote,
		due: (*Machine).takedownDue, risen: (*Machine).successorRisen, settled: (*Machine).successorSettled,
		proved: (*Machine).proceedHandover, late: (*Machine).lateSuccessor, failing: (*Machine).fail,
		ended: (*Machine).endedWhileRising, survived: (*Machine).survivedHandover,
		wants: (*Machine).ask, released: (*Machine).release,
		hooked: notPreparing, begins: swapRuns, rejected: noCheck, workerGone: noBatch, restarted: noBatch,
		whole: noBatch, successorEnded: failedFirst, gone: roomEnough,
		denied: (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	inCanary: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promoteSuccessor,
		due: (*Machine).proceed, failing: (*Machine).fail, rejected: (*Machine).fail,
		ended: (*Machine).endedInCanary, wants: (*Machine).letGo,
		hooked: notPreparing, begins: swapRuns, risen: provenBefore, settled: provenBefore, proved: provenBefore,
		late: provenBefore, workerGone: noBatch, restarted: noBatch, whole: noBatch, successorEnded: failedFirst,
		survived: notWaitedFor, gone: roomEnough, released: unasked,
		denied: (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	rolling: {
		requested: (*Machine).enqueue, back: (*Machine).cancel, cancelled: (*Machine).cancel, promoted: (*Machine).promote,
		due: (*Machine).lateSuccessor, risen: (*Machine).batchRisen, proved: (*Machine).proceed,
		failing: (*Machine).unroll, workerGone: (*Machine).nextBatch, ended: (*Machine).endedInRoll,
		wants:  (*Machine).letGo,
		hooked: notPreparing, begins: swapRuns, settled: firstBatchOnly, late: firstBatchOnly, rejected: noCheck,
		restarted: noBatch, whole: noBatch, successorEnded: failedFirst, survived: notWaitedFor, gone: roomEnough,
		released: unasked,
		denied:   (*Machine).deny, lost: (*Machine).yieldInSwap, regained: (*Machine).regainInSwap, called: (*Machine).regainInSwap,
		granted: notAsking,
	},
	restoring: {
		requested: (*Machine).enqueue, back: (*Machine).rollbackInRestore, cancelled: (*Machine).nothingToCancel, promoted: (*Machine).promote,
		survived: (*Machine).startAgain, gone: (*Machine).startAgain, wants: (*Machine).letGo,
		hooked: notPreparing, begins: swapRuns, risen: failedBefore, settled: failedBefore, proved: failedBefore,
		late: failedBefore, failing: failedBefore, rejected: failedBefore, workerGone: noBatch, restarted: noBatch,
		whole: noBatch, ended: endedForSwap, due: noDeadline, successorEnded: failedFirst, released: unasked,
		lost: (*Machine).yieldInSwap, regained: (*Machine).regain, called: (*Machine).regain,
		granted: notAsking, denied: failedBefore,
	},
	restoringWorkers: {
		requested: (*Machine).enqueue, back: (*Machine).rollback, cancelled: (*Machine).nothingToCancel, promoted: (*Machine).promote,
		due: (*Machine).restoreDue, restarted: (*Machine).moreTime, whole: (*Machine).wholeAgain,
		ended: (*Machine).endedWhileRestored, successorEnded: (*Machine).failedEnded, wants: (*Machine).letGo,
		hooked: notPreparing, begins: swapRuns, risen: failedBefore, settled: failedBefore, proved: failedBefore,
		late: failedBefore, failing: failedBefore, rejected: failedBefore, workerGone: noBatch,
		survived: notWaitedFor, gone: roomEnough, released: unasked,
		lost: (*Machine).yieldInSwap, regained: (*Machine).regain, called: (*Machine).regain,
		granted: notAsking, denied: failedBefore,
	},
}
