package pid1

import (
	"slices"
	"time"

	"github.com/swapinit/swapinit/internal/clock"
	"github.com/swapinit/swapinit/internal/shares"
	"github.com/swapinit/swapinit/swap"
)

// peers looks where connections come from while a canary runs that tells clients by their
// address: behind a proxy they have all the same. It is the loop's.
type peers struct {
	stop chan struct{} // ends the look; nil: there is none
	told []uint64      // who asked for the swap
}

// peersEvery is the time between two looks.
const peersEvery = time.Second

// inCanary: a stage of a canary begins, which id (0: the log) is told. Until the swap has
// ended, status says what decides, and connections are looked at.
func (i *Init) inCanary(generation int, by shares.By, id uint64) {
	p := &i.peers
	if id != 0 && !slices.Contains(p.told, id) {
		p.told = append(p.told, id)
	}
	if p.stop != nil || by == shares.Random {
		return
	}
	i.clients.canaryBy = by.Text()
	stop := make(chan struct{})
	p.stop = stop
	go func() {
		for {
			if from, known := i.steering.peer(); known {
				i.post(func() {
					switch {
					case i.peers.stop != stop:
					case from != "" && i.clients.oneAddress == "":
						i.oneAddress(generation, from)
					default:
						i.clients.oneAddress = from
					}
				})
				if from == "" {
					return
				}
			}
			select {
			case <-stop:
				return
			case <-clock.After(peersEvery):
			}
		}
	}()
}

// oneAddress says that all connections come from there.
func (i *Init) oneAddress(generation int, from string) {
	i.clients.oneAddress = from
	f := &swap.Progress{Stage: swap.StageOneAddress, Generation: generation, Detail: from}
	i.progress(f)
	for _, f.ID = range i.peers.told {
		i.progress(f)
	}
}

// endCanary: the swap has ended.
func (i *Init) endCanary() {
	if i.peers.stop != nil {
		close(i.peers.stop)
	}
	i.peers, i.clients.canaryBy, i.clients.oneAddress = peers{}, "", ""
}

// peer is the address from which all connections to an endpoint come, "" where they come
// from several; known is false where there are too few to tell. It waits.
func (s *steering) peer() (from string, known bool) {
	for _, e := range s.groups() {
		if e.tcp == nil || from != "" {
			continue
		}
		if one, enough, err := e.tcp.Peer(); err == nil && enough {
			from, known = one, true
		}
	}
	return from, known
}

// salt is another one for each canary, or it would always be the same clients that a bad
// release meets first.
func salt() uint32 { return uint32(random()) }
