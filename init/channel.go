package pid1

import (
	"github.com/swapinit/swapinit/internal/channel"
	"github.com/swapinit/swapinit/internal/logline"
	"github.com/swapinit/swapinit/internal/ready"
	"github.com/swapinit/swapinit/swap"
)

// The channels of a worker: SWAPINIT_CHANNEL_FD, and with SWAPINIT_NODE_IPC
// Node's own. It is on one once it has said something there that is meant for
// us; most servers do not know what they have inherited.
const (
	lines = 0
	node  = 1
)

// newChannels makes those of one worker. The error comes with what was made.
func newChannels(ipc bool) (list []*channel.Channel, err error) {
	for n := lines; n == lines || ipc && n == node; n++ {
		c, err := channel.New(n == node)
		if err != nil {
			return list, err
		}
		list = append(list, c)
	}
	return list, nil
}

// said handles what a worker says on one of its channels.
func (i *Init) said(w *worker, n int, m channel.Message) {
	switch m.Kind {
	case channel.Garbage:
		i.about(logline.Debug, "channel", w, " wrote to its channel what is no message: "+m.Data)
		return
	case channel.Gone:
		w.joined[n], w.hungUp[n] = false, true
		return
	}
	if !w.joined[lines] && !w.joined[node] {
		i.from(w, swap.Joined, "", 0)
	}
	w.joined[n], i.clients.asked = true, true
	switch m.Kind {
	case channel.Ready:
		if i.mode.Accepts&ready.OnChannel != 0 {
			i.ready(w)
		}
	case channel.ReadyFor:
		i.from(w, swap.ReadyFor, m.Resource, 0)
	case channel.Released:
		i.from(w, swap.Released, m.Resource, 0)
	}
}

// tell sends m to w on the channels that it is on, and reports whether one took
// it. A Deliver needs no answer, so it goes also to one that has not spoken yet:
// over Node IPC where that is on, else on the channel of lines. Whether the
// program reads it nobody can know.
func (w *worker) tell(m channel.Message) (told bool) {
	for n, c := range w.channels {
		listens := m.Kind == channel.Deliver && n == len(w.channels)-1 && !w.hungUp[n]
		if w.joined[n] || listens {
			told = c.Send(m) || told
		}
	}
	return told
}

// tellAll sends m to a worker of g, or to all, and counts those who got it.
func (g *generation) tellAll(worker int, m channel.Message) (told int) {
	for _, w := range g.all() {
		if (worker == swap.EveryWorker || worker == w.index) && !w.ended.Load() && w.tell(m) {
			told++
		}
	}
	return told
}
