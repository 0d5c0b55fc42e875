package port

import "fmt"

// Process is a program that has a device open.
type Process struct {
	ID   int    `json:"pid"`
	Name string `json:"name"` // of its program, such as minicom; "" where it is not told
}

// String names the process for a person.
func (p Process) String() string {
	if p.Name == "" {
		return fmt.Sprintf("process %d", p.ID)
	}
	return fmt.Sprintf("%s (process %d)", p.Name, p.ID)
}
