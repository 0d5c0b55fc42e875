package commission

// Setup is what the person needs at the analyser.
type Setup struct {
	Line     Line
	Language Language
	// Format is that of a serial port, e.g. 9600 8N1, and Flow its flow control.
	Format, Flow string
	// Addresses are those of the box, and Port that of the listener.
	Addresses []string
	Port      string
	Secure    bool   // over TLS
	Model     string // for what the profile is; "" where none is set
}

// Help is what to do at the analyser to have it send a message, step by step.
func Help(s Setup) []string {
	var steps []string
	add := func(step string) { steps = append(steps, step) }
	if s.Model != "" {
		add("The line is set up for: " + s.Model + ".")
	}
	switch s.Language {
	case HL7:
		add("Open the settings of its host or LIS connection, and choose HL7 v2 with MLLP; results as ORU^R01 or OUL^R22.")
	case Packets:
		add("Open the settings of its computer or host interface, and choose the format that the profile names.")
	default:
		add("Open the settings of its host or LIS connection, and choose ASTM; it may be called LIS01, LIS1-A, LIS2-A, E1381 or E1394. Choose transmission with handshake, not one-way.")
	}
	switch s.Line {
	case Serial:
		add("Set the serial port to " + s.Format + ", flow control " + s.Flow + ". The first number is the speed; then come data bits, parity (N none, E even, O odd) and stop bits.")
	case Listener:
		add("Set the address of the host to " + orList(s.Addresses) + ", and the port to " + s.Port + ". The analyser is the client: it connects to the box." + s.secured())
	case Dialled:
		add("Set the analyser to be the server: it waits for the connection, which the box makes to " + s.Port + "." + s.secured())
	}
	add("Switch the transmission of results on; automatic, if it can be chosen.")
	add("Choose a stored result and transmit it. The command may be called transmit, output, upload, send to host, HC or LIS. Take a result that may stand in the LIMS: this check delivers it.")
	add("Say here that it was sent.")
	return steps
}

func (s Setup) secured() string {
	if s.Secure {
		return " The connection is over TLS."
	}
	return ""
}

func orList(list []string) string {
	text := ""
	for i, one := range list {
		if i > 0 {
			text += " or "
		}
		text += one
	}
	if text == "" {
		return "that of the box"
	}
	return text
}
