# One live client for each software. A repeated registration is its own and counts not.
package openbanking_dcr

deny contains "software_id: it has a client here; update that one, or delete it first" if {
	input.software.clients > 0
}
