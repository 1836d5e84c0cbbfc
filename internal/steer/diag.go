package steer

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// The kernel puts at most 32 KiB into one datagram of a dump.
	diagBuffer = 32 << 10

	// diagWait bounds the wait for one datagram. The kernel answers within
	// the calls themselves, so it is never reached but on a kernel that errs.
	diagWait = 2 // s

	// diagMost bounds one answer, in datagrams: some millions of connections.
	diagMost = 1 << 16
)

// question is what to ask of inet_diag: which sockets of a local port
// (states: bits), or, with a peer's port, for the one connection on loopback.
type question struct {
	bound
	states uint32
	info   bool   // with tcp_info
	peer   uint16 // not 0: this connection only
}

// ask calls each for the sockets. It has its own netlink socket for each
// answer: that costs microseconds beside the milliseconds of a dump, and
// nothing is kept that would have to be closed. Any uid may ask; the answer
// is about the own network namespace.
func (q *question) ask(each func(*socket)) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return fmt.Errorf("inet_diag: %w", err)
	}
	if err = q.over(fd, each); err != nil && err != errShort && err != errInterrupted {
		err = fmt.Errorf("inet_diag: %w", err)
	}
	_ = syscall.Close(fd)
	return err
}

func (q *question) over(fd int, each func(*socket)) error {
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: diagWait}); err != nil {
		return err
	}
	const seq = 1 // the socket is asked once
	request := q.encode(seq)
	if err := unix.Sendto(fd, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, diagBuffer)
	for range diagMost {
		// MSG_TRUNC: the true length, even where it did not fit.
		n, from, err := unix.Recvfrom(fd, buffer, unix.MSG_TRUNC)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
			continue // not the kernel
		}
		if n > len(buffer) {
			return errShort
		}
		done, err := parse(buffer[:n], seq, each)
		if err != nil || done || q.peer != 0 {
			return err
		}
	}
	return errShort
}

// encode is nlmsghdr and inet_diag_req_v2: 0 family  1 protocol  2 attributes
// 4 states  8 inet_diag_sockid (sport, dport, src, dst, interface, cookie).
func (q *question) encode(seq uint32) (request [headerLen + 56]byte) {
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	flags := uint16(unix.NLM_F_REQUEST)
	body := request[headerLen:]
	if q.peer == 0 {
		flags |= unix.NLM_F_DUMP
	} else {
		binary.BigEndian.PutUint16(body[10:], q.peer)
		copy(body[12:], q.addr[:])
		copy(body[28:], q.addr[:])
	}
	order.PutUint16(request[6:], flags)
	order.PutUint32(request[8:], seq)
	body[0], body[1] = q.family, unix.IPPROTO_TCP
	if q.info {
		body[2] = 1 << (attrInfo - 1)
	}
	order.PutUint32(body[4:], q.states)
	binary.BigEndian.PutUint16(body[8:], q.port)
	for i := 48; i < 56; i++ {
		body[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	return request
}
