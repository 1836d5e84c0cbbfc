package swap

// rolloutAction is what an event does to the rollout in a state.
type rolloutAction struct {
	do  func(*Machine, *raised)
	why string
}

// The reasons for doing nothing.
const (
	whyIdle        = "no swap runs"
	whyRuns        = "a swap runs already"
	whyHooked      = "nothing is being prepared"
	whyNoDeadline  = "has no deadline"
	whyNoSuccessor = "there is no successor yet"
	whyCalledOff   = "its swap was called off; it is told to stop with all others"
	whyFailed      = "it has failed already"
	whyFailing     = "a successor that ends has failed before that"
	whyProven      = "it has proved itself already"
	whyBatch       = "it counts for the first batch only"
	whyCanary      = "a check counts only while a canary runs"
	whyNoBatch     = "no workers are being replaced, or given back"
	whyNotFirst    = "nothing waits for its end"
	whyForSwap     = "it ended for the swap's sake, and its command is started again when it is gone"
	whyNoRoom      = "nothing waits for room"
	whyUnasked     = "nobody has asked it to release anything"
)

// rolloutActions is the table of all pairs of state and event of the rollout.
var rolloutActions = [numRolloutStates][numRolloutKinds]rolloutAction{
	noRollout: {
		requested: {do: (*Machine).request},
		back:      {do: (*Machine).rollback},
		promoted:  {do: (*Machine).promote},
		begins:    {do: (*Machine).beginQueued},
		ended:     {do: (*Machine).activeEnded},
		wants:     {do: (*Machine).letGo},
		hooked:    {why: whyIdle},
		due:       {why: whyNoDeadline},
		risen:     {why: whyCalledOff}, settled: {why: whyCalledOff}, proved: {why: whyCalledOff}, late: {why: whyCalledOff},
		failing: {why: whyCalledOff}, rejected: {why: whyCalledOff},
		workerGone: {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		successorEnded: {why: whyNoSuccessor},
		survived:       {why: whyNotFirst},
		gone:           {why: whyNoRoom},
		released:       {why: whyUnasked},
	},
	preparing: {
		requested: {do: (*Machine).enqueue},
		hooked:    {do: (*Machine).prepared},
		back:      {do: (*Machine).rollback},
		promoted:  {do: (*Machine).promote},
		due:       {do: (*Machine).prepareDue},
		ended:     {do: (*Machine).endedBeforeStart},
		wants:     {do: (*Machine).letGo},
		begins:    {why: whyRuns},
		risen:     {why: whyNoSuccessor}, settled: {why: whyNoSuccessor}, proved: {why: whyNoSuccessor},
		late: {why: whyNoSuccessor}, failing: {why: whyNoSuccessor}, rejected: {why: whyNoSuccessor},
		successorEnded: {why: whyNoSuccessor},
		workerGone:     {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		survived: {why: whyNotFirst},
		gone:     {why: whyNoRoom},
		released: {why: whyUnasked},
	},
	waitingRoom: {
		requested: {do: (*Machine).enqueue},
		back:      {do: (*Machine).rollback},
		promoted:  {do: (*Machine).promote},
		due:       {do: (*Machine).roomDue},
		ended:     {do: (*Machine).endedBeforeStart},
		survived:  {do: (*Machine).makeRoom},
		gone:      {do: (*Machine).makeRoom},
		wants:     {do: (*Machine).letGo},
		hooked:    {why: whyHooked},
		begins:    {why: whyRuns},
		risen:     {why: whyNoSuccessor}, settled: {why: whyNoSuccessor}, proved: {why: whyNoSuccessor},
		late: {why: whyNoSuccessor}, failing: {why: whyNoSuccessor}, rejected: {why: whyNoSuccessor},
		successorEnded: {why: whyNoSuccessor},
		workerGone:     {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		released: {why: whyUnasked},
	},
	rising: {
		requested:  {do: (*Machine).enqueue},
		back:       {do: (*Machine).rollback},
		promoted:   {do: (*Machine).promote},
		risen:      {do: (*Machine).successorRisen},
		settled:    {do: (*Machine).successorSettled},
		proved:     {do: (*Machine).proceed},
		late:       {do: (*Machine).lateSuccessor},
		failing:    {do: (*Machine).fail},
		ended:      {do: (*Machine).endedWhileRising},
		wants:      {do: (*Machine).ask},
		hooked:     {why: whyHooked},
		begins:     {why: whyRuns},
		due:        {why: whyNoDeadline},
		rejected:   {why: whyCanary},
		workerGone: {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		successorEnded: {why: whyFailing},
		survived:       {why: whyNotFirst},
		gone:           {why: whyNoRoom},
		released:       {why: whyUnasked},
	},
	handingOver: {
		requested:  {do: (*Machine).enqueue},
		back:       {do: (*Machine).rollback},
		promoted:   {do: (*Machine).promote},
		due:        {do: (*Machine).takedownDue},
		risen:      {do: (*Machine).successorRisen},
		settled:    {do: (*Machine).successorSettled},
		proved:     {do: (*Machine).proceed},
		late:       {do: (*Machine).lateSuccessor},
		failing:    {do: (*Machine).fail},
		ended:      {do: (*Machine).endedWhileRising},
		wants:      {do: (*Machine).ask},
		released:   {do: (*Machine).release},
		hooked:     {why: whyHooked},
		begins:     {why: whyRuns},
		rejected:   {why: whyCanary},
		workerGone: {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		successorEnded: {why: whyFailing},
		survived:       {why: whyNotFirst},
		gone:           {why: whyNoRoom},
	},
	inCanary: {
		requested: {do: (*Machine).enqueue},
		back:      {do: (*Machine).rollbackSuccessor},
		promoted:  {do: (*Machine).promoteSuccessor},
		due:       {do: (*Machine).proceed},
		failing:   {do: (*Machine).fail},
		rejected:  {do: (*Machine).fail},
		ended:     {do: (*Machine).endedInCanary},
		wants:     {do: (*Machine).letGo},
		hooked:    {why: whyHooked},
		begins:    {why: whyRuns},
		risen:     {why: whyProven}, settled: {why: whyProven}, proved: {why: whyProven}, late: {why: whyProven},
		workerGone: {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		successorEnded: {why: whyFailing},
		survived:       {why: whyNotFirst},
		gone:           {why: whyNoRoom},
		released:       {why: whyUnasked},
	},
	rolling: {
		requested:  {do: (*Machine).enqueue},
		back:       {do: (*Machine).rollbackSuccessor},
		promoted:   {do: (*Machine).promote},
		due:        {do: (*Machine).lateSuccessor},
		risen:      {do: (*Machine).batchRisen},
		proved:     {do: (*Machine).proceed},
		failing:    {do: (*Machine).unroll},
		workerGone: {do: (*Machine).nextBatch},
		ended:      {do: (*Machine).endedInRoll},
		wants:      {do: (*Machine).letGo},
		hooked:     {why: whyHooked},
		begins:     {why: whyRuns},
		settled:    {why: whyBatch}, late: {why: whyBatch},
		rejected:  {why: whyCanary},
		restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		successorEnded: {why: whyFailing},
		survived:       {why: whyNotFirst},
		gone:           {why: whyNoRoom},
		released:       {why: whyUnasked},
	},
	restoring: {
		requested: {do: (*Machine).enqueue},
		back:      {do: (*Machine).rollbackInRestore},
		promoted:  {do: (*Machine).promote},
		survived:  {do: (*Machine).startAgain},
		gone:      {do: (*Machine).startAgain},
		wants:     {do: (*Machine).letGo},
		hooked:    {why: whyHooked},
		begins:    {why: whyRuns},
		risen:     {why: whyFailed}, settled: {why: whyFailed}, proved: {why: whyFailed}, late: {why: whyFailed},
		failing: {why: whyFailed}, rejected: {why: whyFailed},
		workerGone: {why: whyNoBatch}, restarted: {why: whyNoBatch}, whole: {why: whyNoBatch},
		ended: {why: whyForSwap}, due: {why: whyNoDeadline},
		successorEnded: {why: whyFailing},
		released:       {why: whyUnasked},
	},
	restoringWorkers: {
		requested:      {do: (*Machine).enqueue},
		back:           {do: (*Machine).rollback},
		promoted:       {do: (*Machine).promote},
		due:            {do: (*Machine).restoreDue},
		restarted:      {do: (*Machine).moreTime},
		whole:          {do: (*Machine).wholeAgain},
		ended:          {do: (*Machine).endedWhileRestored},
		successorEnded: {do: (*Machine).failedEnded},
		wants:          {do: (*Machine).letGo},
		hooked:         {why: whyHooked},
		begins:         {why: whyRuns},
		risen:          {why: whyFailed}, settled: {why: whyFailed}, proved: {why: whyFailed}, late: {why: whyFailed},
		failing: {why: whyFailed}, rejected: {why: whyFailed},
		workerGone: {why: whyNoBatch},
		survived:   {why: whyNotFirst},
		gone:       {why: whyNoRoom},
		released:   {why: whyUnasked},
	},
}
