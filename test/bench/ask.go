package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/swapinit/swapinit/internal/gatewire"
	"github.com/swapinit/swapinit/internal/member"
	"github.com/swapinit/swapinit/internal/shares"
)

const nameAsk = "own part of a takeover"

// measureAsk has two members take the traffic from each other. They are in this process
// and have no servers, so that what is left is the gate's: the answer comes when the
// state file is synced and the kernel's program leads to the other one.
//
//	ask ──> state file, sync ──> the kernel's program ──> answer
func measureAsk(ctx context.Context, b *bench) ([]metric, error) {
	folder, err := os.MkdirTemp(b.dir, "gate-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "gate.sock")
	x, err := b.start([]string{"SWAPINIT_GATE=" + path, "SWAPINIT_LISTEN=tcp4://" + address, "SWAPINIT_LOG=error"}, b.peers[0].argv("gate")...)
	if err != nil {
		return nil, err
	}
	defer x.kill()
	var members [2]*member.Member
	for i, name := range []string{"aaaaaaaaaaaa", "bbbbbbbbbbbb"} {
		m, welcome, err := member.Join(member.Options{Path: path, Container: name, Release: name, Life: name, Timeout: patience, Interrupt: ctx.Done()})
		if err != nil {
			return nil, err
		}
		defer m.Close()
		m.Start(func(*gatewire.Message) {}, func(bool) {})
		if len(welcome.Endpoints) != 1 {
			return nil, fmt.Errorf("the gate has %d endpoints", len(welcome.Endpoints))
		}
		if err := m.Group(welcome.Endpoints[0]).Add(1, false); err != nil {
			return nil, err
		}
		members[i] = m
	}
	m := metric{Name: nameAsk, How: "from the member's asking to the gate's answer; one TCP endpoint, the state file in the folder for temporary files", Unit: "ms", Limit: limit{Max: 10, Text: "10 ms"}}
	for round := range b.rounds.asks + 1 {
		b.progress.show(nameAsk, round, b.rounds.asks)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		asker := members[round%2]
		begin := now()
		if err := call(asker, gatewire.Message{Op: gatewire.OpAsk, Generation: 1, Share: shares.Full, Operator: true}); err != nil {
			return nil, err
		}
		took := now() - begin
		if round > 0 { // the first one has no predecessor
			m.add(us, float64(took)/1e6)
		}
		for _, op := range []gatewire.Op{gatewire.OpDone, gatewire.OpSettled} {
			if err := call(asker, gatewire.Message{Op: op}); err != nil {
				return nil, err
			}
		}
		pause(ctx, 5*time.Millisecond)
	}
	return []metric{m}, nil
}

// call is a call that has to succeed.
func call(m *member.Member, c gatewire.Message) error {
	answer, _, err := m.Do(&c, patience)
	if err == nil && answer.Error != "" {
		err = fmt.Errorf("the gate answers: %s", answer.Error)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", c.Op, err)
	}
	return err
}
