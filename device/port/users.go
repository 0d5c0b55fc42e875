package port

// Process is a program that has a device open.
type Process struct {
	ID   int    `json:"pid"`
	Name string `json:"name"` // of its program, such as minicom; "" where it is not told
}
