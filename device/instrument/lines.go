package instrument

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
)

// Serial keeps the line of one instrument on a serial port open until ctx ends.
// Silence is no reason to close it: limits.idle does not hold for it.
func (s *Service) Serial(ctx context.Context, m Instrument, settings port.Settings, progress func()) error {
	m.Settings.Limits.Idle = 0
	return s.keepOpen(ctx, m, settings, settings.Serial.Port, progress)
}

// Dial keeps the line to an instrument that is the TCP server open until ctx
// ends.
func (s *Service) Dial(ctx context.Context, m Instrument, settings port.Settings, progress func()) error {
	return s.keepOpen(ctx, m, settings, settings.Dial, progress)
}

func (s *Service) keepOpen(ctx context.Context, m Instrument, settings port.Settings, remote string, progress func()) error {
	news := &standing{log: s.Log.With("instrument", m.Name, "remote", remote)}
	open := func(ctx context.Context) (port.Line, error) {
		progress()
		return port.Open(ctx, settings)
	}
	use := func(ctx context.Context, conn port.Line) {
		news.up()
		s.trouble(m.Name, nil)
		s.Observer.Up(m.Name, true)
		defer s.Observer.Up(m.Name, false)
		alive := func() { progress(); news.holds() }
		news.down(s.serve(ctx, conn, remote, []Instrument{m}, news.log, alive, func(bool) {}))
	}
	failed := func(err error) {
		progress()
		news.failed(err)
		s.trouble(m.Name, err)
		if handshake := (*port.HandshakeError)(nil); errors.As(err, &handshake) {
			s.Observer.NegativeAck(m.Name, reasonTLS)
		}
	}
	err := port.Redial(ctx, open, use, failed, settings.Panel.News)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// countErrors returns a progress function that also reports what the serial
// driver has counted since the last time, by kind.
func (s *Service) countErrors(name string, conn port.Line, progress func(), found func(map[string]uint64)) func() {
	serial, counts := conn.(interface{ Errors() (port.Counters, error) })
	if !counts {
		return progress
	}
	var last port.Counters
	return func() {
		progress()
		now, err := serial.Errors()
		if err != nil {
			return // terminals without a driver that counts
		}
		if now == last {
			return
		}
		grown := map[string]uint64{
			"parity": now.Parity - last.Parity, "framing": now.Framing - last.Framing,
			"overrun": now.Overrun - last.Overrun, "break": now.Break - last.Break,
		}
		last = now
		for kind, n := range grown {
			if n > 0 {
				s.Observer.SerialErrors(name, kind, n)
			}
		}
		found(grown)
	}
}

// Listen serves the connections of a listener until ctx ends. Several
// instruments may share it; each message goes to the one whose profile fits.
// Progress is that of accepting; each connection has its own, by Service.Watch.
func (s *Service) Listen(ctx context.Context, listener net.Listener, gate *port.Gate, members []Instrument, progress func()) error {
	first := members[0]
	log := s.Log.With("instrument", first.Name)
	limits := first.Settings.Limits
	var refusals once
	doorLimits := port.Limits{Connections: limits.Connections, PerAddress: limits.PerAddress, AllowFrom: first.AllowFrom}
	door := gate.Door(doorLimits, func(remote net.Addr, why port.Refusal) {
		s.Observer.NegativeAck(first.Name, string(why))
		s.trouble(first.Name, fmt.Errorf("%s: %w", hostOf(remote.String()), why))
		what := string(why)
		if why == port.RefusedOrigin { // whom it is about is what a person needs
			what += " " + hostOf(remote.String())
		}
		if refusals.first(what) {
			log.Warn("connection refused", "remote", remote.String(), "reason", why)
		}
	})
	for _, m := range members {
		s.Observer.Up(m.Name, true)
		defer s.Observer.Up(m.Name, false)
	}
	handle := func(ctx context.Context, conn net.Conn) {
		progress, ended := s.watched(first.Name, conn.RemoteAddr().String())
		defer ended()
		pass, err := door.Admit(conn)
		if err != nil {
			return // the door has reported it
		}
		defer pass.Release()
		s.Observer.Connections(first.Name, 1)
		defer s.Observer.Connections(first.Name, -1)
		remote := conn.RemoteAddr().String()
		busy := func(now bool) {
			if now {
				pass.Busy()
			} else {
				pass.Idle()
			}
		}
		if first.TLS != nil {
			secure, err := first.TLS.Server(ctx, conn)
			if err != nil {
				if !pass.MadeRoom() && ctx.Err() == nil {
					s.refuseTLS(first.Name, remote, log, err)
				}
				return
			}
			defer secure.Close() // says goodbye, which the caller's Close does not
			conn = secure
		}
		err = s.serve(ctx, conn, remote, members, log.With("remote", remote), progress, busy)
		if closedFor(err) != "" || errors.Is(err, errTooLong) {
			if s.news.first(first.Name + " " + hostOf(remote) + " " + err.Error()) {
				log.Warn("connection closed", "remote", remote, "error", err)
			}
		}
	}
	return port.Serve(ctx, listener, handle, func(err error) { log.Error("cannot accept", "error", err) }, progress)
}

// watched begins the watch over a connection.
func (s *Service) watched(instrument, remote string) (progress, ended func()) {
	if s.Watch == nil {
		return func() {}, func() {}
	}
	return s.Watch(instrument, remote)
}

// refuseTLS reports a connection without TLS, once for each address and reason.
func (s *Service) refuseTLS(name, remote string, log *slog.Logger, err error) {
	s.Observer.NegativeAck(name, reasonTLS)
	s.trouble(name, fmt.Errorf("%s: %w", hostOf(remote), err))
	kind := ""
	if handshake := (*port.HandshakeError)(nil); errors.As(err, &handshake) {
		kind = handshake.Remedy
	}
	if s.news.first(name + " tls " + hostOf(remote) + " " + kind) {
		log.Warn("connection refused", "remote", remote, "error", err)
	}
}

// Serve runs one line that is open already until the peer closes it or ctx ends:
// what comes over it is from the members, as with Listen, but it may be silent
// for as long as it likes. The caller closes it.
func (s *Service) Serve(ctx context.Context, conn port.Line, remote string, members []Instrument) error {
	members = slices.Clone(members)
	for i := range members {
		members[i].Settings.Limits.Idle = 0
	}
	return s.serve(ctx, conn, remote, members, s.Log.With("remote", remote), func() {}, func(bool) {})
}

// serve runs one open line. A panic ends this line only.
func (s *Service) serve(ctx context.Context, conn port.Line, remote string, members []Instrument, log *slog.Logger, progress func(), busy func(bool)) (err error) {
	tap, ended := s.tapped(conn, remote, members[0].Name, log)
	defer ended()
	l := &line{Service: s, conn: conn, tap: tap, remote: remote, members: members, log: log, busy: onChange(busy)}
	l.progress = s.countErrors(members[0].Name, conn, progress, l.saySerialErrors)
	if tap != nil {
		l.conn = tap
	}
	var of link = &astm{line: l}
	switch envelope.Protocol(members[0].Settings.Protocol) {
	case envelope.HL7:
		of = &mllpLink{line: l}
	case envelope.Vendor: // the packets of other makers come over ASTM lines
		of = &emeraldLink{line: l}
	}
	defer func() {
		if p := recover(); p != nil {
			err = reportPanic(log, p)
			s.Observer.NegativeAck(members[0].Name, reasonPanic)
		}
	}()
	err = l.run(ctx, of)
	l.sayEnd(err)
	if reason := closedFor(err); reason != "" {
		s.Observer.NegativeAck(members[0].Name, reason)
	}
	return err
}

// hostOf is the address of a peer without its port, which is another each time;
// or the name of a serial port.
func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}
