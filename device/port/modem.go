package port

import "fmt"

// ModemLines are the lines by which the other side of a cable says that it is
// there. True is on.
type ModemLines struct {
	CTS bool `json:"cts"` // clear to send
	DSR bool `json:"dsr"` // data set ready
	DCD bool `json:"dcd"` // data carrier detect
	RI  bool `json:"ri"`  // ring indicator
}

// Dead says that nothing at all comes from the other side.
func (m ModemLines) Dead() bool { return m == ModemLines{} }

// Modem returns the modem lines as they are now. Where driver or system cannot
// tell, the error wraps errors.ErrUnsupported.
func (l *SerialLine) Modem() (ModemLines, error) {
	m, err := l.terminal.Modem()
	if err != nil {
		return ModemLines{}, fmt.Errorf("modem lines of %s: %w", l.path, err)
	}
	return m, nil
}
