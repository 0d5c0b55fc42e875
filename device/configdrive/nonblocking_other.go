//go:build !unix

package configdrive

const nonBlocking = 0
