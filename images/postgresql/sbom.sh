# Write the image's bill of materials (CycloneDX, JSON): Debian's packages of a dpkg status file.
set -eu
awk '
    function put() {
        if (status == "install ok installed") {
            purl = "pkg:deb/debian/" name "@" version "?arch=" arch
            printf "%s\n  {\"type\": \"library\", \"bom-ref\": \"%s\", \"name\": \"%s\", \"version\": \"%s\", \"purl\": \"%s\"}", \
                comma, purl, name, version, purl
            comma = ","
        }
        status = ""
    }
    BEGIN { printf "{\"bomFormat\": \"CycloneDX\", \"specVersion\": \"1.6\", \"version\": 1, \"components\": [" }
    /^Package: / { name = $2 }
    /^Version: / { version = $2 }
    /^Architecture: / { arch = $2 }
    /^Status: / { status = substr($0, 9) }
    /^$/ { put() }
    END { put(); print "\n]}" }
' "$1"
