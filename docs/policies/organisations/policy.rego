# Organisations that the bank has a contract with, and none that it has shut out.
package openbanking_dcr

known := {"0015800001041REAAY", "0015800001ZEc23AAD"}

shut_out := {"0015800001ZEc23AAD"}

allow if {
	input.ssa.org_id in known
	not input.ssa.org_id in shut_out
}
