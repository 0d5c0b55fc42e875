package board

import (
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// kernelSynchronised asks as adjtimex(2) does: whoever sets the clock by a time
// server tells the kernel so. A sandbox may forbid the question.
func kernelSynchronised() bool {
	var state unix.Timex
	_, err := unix.Adjtimex(&state)
	return err == nil && state.Status&unix.STA_UNSYNC == 0
}

func setKernelClock(at time.Time) error {
	spec, err := unix.TimeToTimespec(at)
	if err != nil {
		return err
	}
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &spec); err != nil {
		return err
	}
	batteries, _ := filepath.Glob("/dev/rtc[0-9]*")
	for _, path := range batteries {
		setBattery(path, at.UTC())
	}
	return nil
}

// setBattery sets a battery's clock, which holds UTC as everywhere on Linux.
func setBattery(path string, at time.Time) {
	device, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(device)
	_ = unix.IoctlSetRTCTime(device, &unix.RTCTime{ // what fails is said by SetClock's comment
		Sec: int32(at.Second()), Min: int32(at.Minute()), Hour: int32(at.Hour()),
		Mday: int32(at.Day()), Mon: int32(at.Month()) - 1, Year: int32(at.Year()) - 1900,
	})
}
