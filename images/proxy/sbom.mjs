// Write the image's bill of materials (CycloneDX, JSON): the packages of a package-lock.json, and Debian's.
//
//   node sbom.mjs PACKAGE_LOCK DPKG_STATUS
//
// It has no time and no serial number in it, so that the same content is the same file.
import { readFileSync } from "node:fs";

const [lockFile, statusFile] = process.argv.slice(2);
const component = (name, version, purl) => ({ type: "library", "bom-ref": purl, name, version, purl });

const packages = Object.entries(JSON.parse(readFileSync(lockFile, "utf8")).packages)
  .filter(([path]) => path.startsWith("node_modules/"))
  .map(([path, about]) => {
    const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
    return component(name, about.version, `pkg:npm/${name.replace("@", "%40")}@${about.version}`);
  });

const debian = readFileSync(statusFile, "utf8")
  .split("\n\n")
  .map((paragraph) => Object.fromEntries([...paragraph.matchAll(/^([A-Z][\w-]*): (.*)$/gm)].map((one) => one.slice(1))))
  .filter((fields) => fields.Status === "install ok installed")
  .map((fields) =>
    component(fields.Package, fields.Version, `pkg:deb/debian/${fields.Package}@${fields.Version}?arch=${fields.Architecture}`),
  );

const components = [...new Map([...packages, ...debian].map((one) => [one.purl, one])).values()];
components.sort((one, other) => (one.purl < other.purl ? -1 : 1));
process.stdout.write(JSON.stringify({ bomFormat: "CycloneDX", specVersion: "1.6", version: 1, components }, null, 1));
